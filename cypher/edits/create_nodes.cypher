// edits/create_nodes: nodes as edits describe them; a row whose key is taken is left out of the answer
// access: write
// slot   target     node_type label of the nodes
// slot   target_key property  their key
// param  rows       LIST<MAP> {id, target_key, labels, properties}
// return id         STRING    the edit's id, where the node was created
UNWIND $rows AS row
WITH row WHERE NOT EXISTS { MATCH (:«target» {«target_key»: row.target_key}) }
CREATE (n:«target» {«target_key»: row.target_key})
SET n:$(row.labels)
SET n += row.properties
RETURN row.id AS id
