// jobs/typed: jobs that somebody wrote in Neo4j Browser and that nobody has looked at
// access: read
// param  most INTEGER 1..1000, default 100
// return node STRING  internal name of the node, good until it is deleted
// return job  MAP     its properties
MATCH (j:Job {state: 'queued'}) WHERE j.plan IS NULL
RETURN elementId(j) AS node, properties(j) AS job
LIMIT $most
