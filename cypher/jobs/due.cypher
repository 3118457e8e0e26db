// jobs/due: jobs without a live lease whose message is due: never sent, lost with its broker or its worker
// access: read
// param  most INTEGER 1..10000, default 1000
// return id   STRING
// return step INTEGER
// return plan STRING  JSON, one entry a step
// return sends INTEGER how often it was sent in vain
MATCH (j:Job) WHERE j.state IN ['queued', 'running'] AND j.plan IS NOT NULL
WITH j, datetime.realtime() AS now
WHERE coalesce(j.lease_until < now, true) AND coalesce(j.due_at <= now, true)
RETURN j.id AS id, coalesce(j.step, 0) AS step, j.plan AS plan, coalesce(j.sends, 0) AS sends
ORDER BY j.created_at LIMIT $most
