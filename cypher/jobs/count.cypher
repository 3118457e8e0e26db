// jobs/count: how many jobs of each kind are in each state?
// access: read
// return kind  STRING
// return state STRING
// return jobs  INTEGER
MATCH (j:Job)
RETURN toStringOrNull(j.kind) AS kind, toStringOrNull(j.state) AS state, count(*) AS jobs
ORDER BY kind, state
