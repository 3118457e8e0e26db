// import/confirm_batch: lock an import's record until this transaction ends, then look whether it still runs
// access: write
// param  id      STRING
// return running BOOLEAN
OPTIONAL MATCH (b:Batch {id: $id})
SET b.seen_at = datetime()
WITH b
RETURN coalesce(b.state, '') = 'running' AS running
