// import/undo_batch: record that an import was taken back
// access: write
// param  id        STRING
// return id        STRING
MATCH (b:Batch {id: $id})
SET b.state = 'undone', b.undone_at = datetime()
RETURN b.id AS id
