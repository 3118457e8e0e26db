// jobs/list: what is running, waiting and done, latest first; parts belong to the job they are of
// access: read
// param  state STRING  queued | running | done | failed | cancelled | refused | skipped; default ''
// param  kind  STRING  default ''
// param  graph STRING  default ''
// param  most  INTEGER 1..1000, default 20
// return job   MAP
MATCH (j:Job)
WHERE j.parent IS NULL AND ($state = '' OR j.state = $state) AND ($kind = '' OR j.kind = $kind) AND ($graph = '' OR j.graph = $graph)
RETURN properties(j) AS job
ORDER BY coalesce(j.created_at, datetime.realtime()) DESC, j.id LIMIT $most
