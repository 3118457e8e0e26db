// jobs/settle: the holder gives a job back: a step is done, is to be tried again, or the job has ended
// access: write
// param  id         STRING
// param  token      INTEGER fencing token of the holder
// param  properties MAP     what is true of it from now on: state, step, result, message …
// param  due_s      FLOAT   0..86400, default 0.0; when its next message is due
// return held       BOOLEAN false: it is somebody else's, and nothing was changed
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime()
WITH j, j.token = $token AND j.state = 'running' AS held, datetime.realtime() AS now
FOREACH (_ IN CASE WHEN held THEN [1] ELSE [] END |
  SET j += $properties, j.lease_until = null, j.holder = null, j.sends = null,
      j.due_at = now + duration({milliseconds: toInteger($due_s * 1000)})
  FOREACH (_ IN CASE WHEN j.state IN ['queued', 'running'] THEN [] ELSE [1] END |
    SET j.ended_at = now, j.exclusive = null, j.due_at = null, j.stage = null, j.done = null, j.total = null,
        j.unit = null, j.rate_per_s = null, j.remaining_s = null))
RETURN held
