// jobs/open: jobs of a kind that have not ended, for one graph
// access: read
// param  kind  STRING
// param  graph STRING
// return id    STRING
MATCH (j:Job) WHERE j.state IN ['queued', 'running'] AND j.kind = $kind AND j.graph = $graph
RETURN j.id AS id
ORDER BY id
