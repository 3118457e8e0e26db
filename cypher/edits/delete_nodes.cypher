// edits/delete_nodes: remove nodes that are as the edits saw them and have no relation left; vectors do not count
// access: write
// slot   target     node_type label of the nodes
// slot   target_key property  their key
// param  rows       LIST<MAP> {id, target_key, properties}
// return id         STRING    the edit's id, where the node was removed
UNWIND $rows AS row
MATCH (n:«target» {«target_key»: row.target_key})
REMOVE n.`korvai lock` // takes the write lock and changes nothing
WITH row, n
WHERE all(name IN keys(n) WHERE name STARTS WITH 'embedding_' OR n[name] = row.properties[name])
  AND all(name IN keys(row.properties) WHERE n[name] IS NOT NULL)
  AND NOT EXISTS { (n)-[r]-() WHERE type(r) <> 'ON' }
DETACH DELETE n
RETURN row.id AS id
