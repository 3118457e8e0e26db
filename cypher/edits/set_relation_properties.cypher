// edits/set_relation_properties: write properties of relations that still have the value which the edits saw
// access: write
// slot   target     node_type label of the relations' source
// slot   target_key property  its key
// slot   relation   relation  their type
// slot   other      node_type label of their target
// slot   other_key  property  its key
// param  rows       LIST<MAP> {id, target_key, other_key, key, old, new}
// return id         STRING    the edit's id, where the value was written
UNWIND $rows AS row
MATCH (n:«target» {«target_key»: row.target_key})-[r:«relation»]->(:«other» {«other_key»: row.other_key})
REMOVE n.`korvai lock`
WITH row, collect(r) AS found
WITH row, found[0] AS r
WHERE size(found) = 1 AND (r[row.key] = row.old OR (r[row.key] IS NULL AND row.old IS NULL))
SET r[row.key] = row.new
RETURN row.id AS id
