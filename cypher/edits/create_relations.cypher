// edits/create_relations: connect nodes that are there and not yet so connected
// access: write
// slot   target     node_type label of the relations' source
// slot   target_key property  its key
// slot   relation   relation  their type
// slot   other      node_type label of their target
// slot   other_key  property  its key
// param  rows       LIST<MAP> {id, target_key, other_key, properties}
// return id         STRING    the edit's id, where the relation was created
UNWIND $rows AS row
MATCH (n:«target» {«target_key»: row.target_key})
MATCH (m:«other» {«other_key»: row.other_key})
REMOVE n.`korvai lock`, m.`korvai lock`
WITH row, n, m WHERE NOT EXISTS { (n)-[:«relation»]->(m) }
CREATE (n)-[r:«relation»]->(m)
SET r = row.properties
RETURN row.id AS id
