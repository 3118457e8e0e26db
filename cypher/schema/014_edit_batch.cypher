// schema/014_edit_batch: edits are looked up by their batch
// access: schema
CREATE INDEX korvai_edit_batch IF NOT EXISTS FOR (n:Edit) ON (n.batch)
