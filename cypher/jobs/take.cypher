// jobs/take: take a job's lease for one step, unless it has ended, is held, was stopped, or must wait for another job
// access: write
// param  id      STRING
// param  step    INTEGER 0..100; which step the message was for
// param  holder  STRING  who takes it, for people
// param  ttl_s   FLOAT   0..3600; how long without a sign of life until somebody else may take it
// return verdict STRING  taken | ended | done before | held | cancelled | waits
// return token   INTEGER fencing token, higher than any before
// return other   STRING  the job that this one waits for
// return job     MAP     its properties
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime() // the lock: all below is read under it
WITH j, datetime.realtime() AS now
OPTIONAL MATCH (other:Job {exclusive: j.excludes}) WHERE other <> j
WITH j, now, other.id AS other, EXISTS { (p:Job {parent: j.id}) WHERE p.state IN ['queued', 'running'] } AS shared
WITH j, now, CASE WHEN shared THEN 'its parts' ELSE other END AS other
WITH j, now, other,
     CASE WHEN NOT coalesce(j.state, '') IN ['queued', 'running'] THEN 'ended'
          WHEN coalesce(j.step, 0) <> $step THEN 'done before'
          WHEN j.lease_until > now THEN 'held'
          WHEN coalesce(j.cancel, false) THEN 'cancelled'
          WHEN other IS NOT NULL THEN 'waits'
          ELSE 'taken' END AS verdict
FOREACH (_ IN CASE WHEN verdict = 'waits' THEN [1] ELSE [] END |
  SET j.message = 'waits for ' + other, j.due_at = now + duration({seconds: 5}))
FOREACH (_ IN CASE WHEN verdict = 'cancelled' THEN [1] ELSE [] END | // whoever should have stopped is gone
  SET j.state = 'cancelled', j.message = 'cancelled', j.token = coalesce(j.token, 0) + 1, j.ended_at = now,
      j.lease_until = null, j.holder = null, j.exclusive = null, j.due_at = null)
FOREACH (_ IN CASE WHEN verdict = 'taken' THEN [1] ELSE [] END |
  SET j.crashes = coalesce(j.crashes, 0) + CASE WHEN j.lease_until IS NULL THEN 0 ELSE 1 END,
      j.token = coalesce(j.token, 0) + 1, j.holder = $holder, j.state = 'running', j.exclusive = j.excludes,
      j.lease_until = now + duration({milliseconds: toInteger($ttl_s * 1000)}),
      j.started_at = coalesce(j.started_at, now), j.message = null, j.sends = null, j.due_at = null)
RETURN verdict, j.token AS token, other, properties(j) AS job
