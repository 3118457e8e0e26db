// edits/delete_relations: remove relations that are as the edits saw them
// access: write
// slot   target     node_type label of the relations' source
// slot   target_key property  its key
// slot   relation   relation  their type
// slot   other      node_type label of their target
// slot   other_key  property  its key
// param  rows       LIST<MAP> {id, target_key, other_key, properties}
// return id         STRING    the edit's id, where the relation was removed
UNWIND $rows AS row
MATCH (n:«target» {«target_key»: row.target_key})-[r:«relation»]->(m:«other» {«other_key»: row.other_key})
REMOVE n.`korvai lock`, m.`korvai lock`
WITH row, r WHERE properties(r) = row.properties
WITH row, collect(r)[0] AS r // raw Cypher can make the same relation twice: one edit is one of them
DELETE r
RETURN row.id AS id
