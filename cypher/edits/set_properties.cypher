// edits/set_properties: write node properties that still have the value which the edits saw; null removes
// access: write
// slot   target     node_type label of the nodes
// slot   target_key property  their key
// param  rows       LIST<MAP> {id, target_key, key, old, new}
// return id         STRING    the edit's id, where the value was written
UNWIND $rows AS row
MATCH (n:«target» {«target_key»: row.target_key})
REMOVE n.`korvai lock`
WITH row, n
WHERE n[row.key] = row.old OR (n[row.key] IS NULL AND row.old IS NULL)
SET n[row.key] = row.new
RETURN row.id AS id
