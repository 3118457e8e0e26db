// jobs/expect: what the holder of a job expects it to need
// access: write
// param  id         STRING
// param  token      INTEGER fencing token of the holder
// param  needs_mib  INTEGER memory, at most
// param  expected_s FLOAT   null where none of its kind was done before
// return held       BOOLEAN
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime()
WITH j, j.token = $token AND j.state = 'running' AS held
FOREACH (_ IN CASE WHEN held THEN [1] ELSE [] END | SET j.needs_mib = $needs_mib, j.expected_s = $expected_s)
RETURN held
