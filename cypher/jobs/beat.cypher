// jobs/beat: a sign of life of whoever holds a job, with how far it is
// access: write
// param  id       STRING
// param  token    INTEGER fencing token of the holder
// param  ttl_s    FLOAT   0..3600
// param  progress MAP     stage, done, total …
// return held     BOOLEAN false: somebody else has taken it
// return cancel   BOOLEAN somebody asked for it to stop
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime()
WITH j, j.token = $token AND j.state = 'running' AS held
FOREACH (_ IN CASE WHEN held THEN [1] ELSE [] END |
  SET j += $progress, j.lease_until = datetime.realtime() + duration({milliseconds: toInteger($ttl_s * 1000)}))
RETURN held, coalesce(j.cancel, false) AS cancel
