// jobs/skip: say why the schedule started nothing; one node an entry, graph and task, brought up to date
// access: write
// param  id         STRING
// param  properties MAP    kind, graph, task, who, message
// return id         STRING
MERGE (j:Job {id: $id})
SET j += $properties, j.state = 'skipped', j.created_at = coalesce(j.created_at, datetime.realtime()),
    j.ended_at = datetime.realtime()
RETURN j.id AS id
