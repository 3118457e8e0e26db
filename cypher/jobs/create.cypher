// jobs/create: write a job down, once, before anything is queued
// access: write
// param  id         STRING
// param  properties MAP    kind, graph, params, plan …
// return id         STRING
MERGE (j:Job {id: $id})
ON CREATE SET j += $properties, j.state = 'queued', j.created_at = datetime.realtime()
RETURN j.id AS id
