// jobs/find: all that a job's node says
// access: read
// param  id  STRING
// return job MAP
MATCH (j:Job {id: $id})
RETURN properties(j) AS job
