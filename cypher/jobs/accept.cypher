// jobs/accept: turn a job that somebody wrote into one that workers understand, or end it with a message; once
// access: write
// param  node       STRING internal name of the node
// param  id         STRING its id, where it has none
// param  properties MAP    plan …, or state and message
// return id         STRING
MATCH (j:Job) WHERE elementId(j) = $node
SET j.seen_at = datetime.realtime() // the lock; whoever was faster has set a plan or another state
WITH j WHERE j.plan IS NULL AND j.state = 'queued'
SET j.id = CASE WHEN j.id IS :: STRING NOT NULL THEN j.id ELSE $id END,
    j.created_at = coalesce(j.created_at, datetime.realtime())
SET j += $properties
RETURN j.id AS id
