// jobs/confirm: lock a job until this transaction ends, then look whose it is; the last thing before a commit
// access: write
// param  id    STRING
// param  token INTEGER fencing token of the holder
// return held  BOOLEAN
OPTIONAL MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime()
WITH j
RETURN coalesce(j.token = $token AND j.state = 'running', false) AS held
