// jobs/make_due: the broker has lost its messages: every job without a live lease is due now
// access: write
// return jobs INTEGER
MATCH (j:Job) WHERE j.state IN ['queued', 'running'] AND coalesce(j.lease_until < datetime.realtime(), true)
SET j.due_at = null, j.sends = null
RETURN count(j) AS jobs
