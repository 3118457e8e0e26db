// jobs/cancel: ask for a job, and its parts, to stop; one that nobody works at ends at once
// access: write
// param  id    STRING
// return state STRING now: cancelled, running (it stops within seconds), or what it had ended as
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime()
WITH j, j.state IN ['queued', 'running'] AS open, coalesce(j.lease_until < datetime.realtime(), true) AS idle
FOREACH (_ IN CASE WHEN open THEN [1] ELSE [] END | SET j.cancel = true)
FOREACH (_ IN CASE WHEN open AND idle THEN [1] ELSE [] END |
  SET j.state = 'cancelled', j.message = 'cancelled while nobody worked at it', j.token = coalesce(j.token, 0) + 1,
      j.ended_at = datetime.realtime(), j.lease_until = null, j.holder = null, j.exclusive = null, j.due_at = null)
WITH j
OPTIONAL MATCH (p:Job {parent: $id}) WHERE p.state IN ['queued', 'running']
FOREACH (part IN CASE WHEN p IS NULL THEN [] ELSE [p] END | SET part.cancel = true)
RETURN DISTINCT j.state AS state
