// changes/batches_since: imports that wrote, ended or were undone since a moment, or are at work
// access: read
// param  domain STRING
// param  since  DATETIME
// return id     STRING
MATCH (b:Batch {domain: $domain})
WHERE b.at >= $since OR b.finished_at >= $since OR b.undone_at >= $since OR b.state = 'running'
RETURN b.id AS id ORDER BY b.id
