// edits/attach: hang the edits of nodes that have come back on them again
// access: write
// slot   target     node_type label of the nodes
// slot   target_key property  their key
// param  target_type STRING       that label
// param  keys        LIST<STRING> keys of the nodes
// return attached    INTEGER      how many edits
UNWIND $keys AS key
MATCH (n:«target» {«target_key»: key})
MATCH (e:Edit {target_key: key})
WHERE e.target_type = $target_type AND NOT EXISTS { (e)-[:ON]->() }
CREATE (e)-[:ON]->(n)
RETURN count(*) AS attached
