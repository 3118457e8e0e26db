// jobs/look: is a job still its holder's, and did somebody ask for it to stop?
// access: read
// param  id     STRING
// return token  INTEGER
// return state  STRING
// return cancel BOOLEAN
MATCH (j:Job {id: $id})
RETURN j.token AS token, j.state AS state, coalesce(j.cancel, false) AS cancel
