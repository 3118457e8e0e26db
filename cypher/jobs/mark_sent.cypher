// jobs/mark_sent: a job's message is about to be sent; if nobody takes it for a while, another one is due
// access: write
// param  id      STRING
// param  step    INTEGER 0..100
// param  again_s FLOAT   0..86400; after how long
// return sent    BOOLEAN false: it has ended or gone on meanwhile, send nothing
MATCH (j:Job {id: $id})
SET j.seen_at = datetime.realtime()
WITH j, j.state IN ['queued', 'running'] AND coalesce(j.step, 0) = $step
        AND coalesce(j.lease_until < datetime.realtime(), true) AS sent
FOREACH (_ IN CASE WHEN sent THEN [1] ELSE [] END |
  SET j.sends = coalesce(j.sends, 0) + 1, j.due_at = datetime.realtime() + duration({milliseconds: toInteger($again_s * 1000)}))
RETURN sent
