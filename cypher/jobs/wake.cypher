// jobs/wake: a part of a job has ended: say how many have, and have the job go on once none is open
// access: write
// param  id   STRING  the job that was shared out
// return open INTEGER parts that have not ended
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime() // the lock: of two last parts, one sees that it is the last
WITH j
MATCH (p:Job {parent: $id})
WITH j, count(*) AS parts, sum(CASE WHEN p.state IN ['queued', 'running'] THEN 1 ELSE 0 END) AS open
FOREACH (_ IN CASE WHEN j.state = 'running' AND j.lease_until IS NULL THEN [1] ELSE [] END |
  SET j.done = parts - open, j.total = parts, j.unit = 'parts', j.stage = 'shared out'
  FOREACH (_ IN CASE WHEN open = 0 THEN [1] ELSE [] END | SET j.due_at = datetime.realtime()))
RETURN open
