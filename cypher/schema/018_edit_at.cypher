// schema/018_edit_at: edits are looked up by when they were made, every second
// access: schema
CREATE INDEX korvai_edit_at IF NOT EXISTS FOR (n:Edit) ON (n.at)
