// import/finish_batch: record what an import has written, and whether it came to its end
// access: write
// param  id        STRING
// param  state     STRING    done, stopped
// param  created   INTEGER
// param  updated   INTEGER
// param  problems  INTEGER
// return id        STRING
MATCH (b:Batch {id: $id})
SET b.state = $state, b.created = $created, b.updated = $updated, b.problems = $problems, b.finished_at = datetime()
RETURN b.id AS id
