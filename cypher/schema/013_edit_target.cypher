// schema/013_edit_target: edits are looked up by the node they are about
// access: schema
CREATE INDEX korvai_edit_target IF NOT EXISTS FOR (n:Edit) ON (n.target_key)
