// edits/read_relations: all relations of one node, but those of its edits
// access: read
// slot   target     node_type    label of the node
// slot   target_key property     its key
// param  key        STRING       which
// param  key_names  LIST<STRING> names of properties that may be the other node's key
// return relation   STRING       type
// return outgoing   BOOLEAN      whether it starts at the node
// return properties MAP          of the relation
// return labels     LIST<STRING> of the other node
// return keys       LIST<ANY>    its values of key_names, in that order
MATCH (n:«target» {«target_key»: $key})-[r]-(m)
WHERE NOT m:Edit
RETURN type(r) AS relation, startNode(r) = n AS outgoing, properties(r) AS properties, labels(m) AS labels,
       [name IN $key_names | m[name]] AS keys
ORDER BY relation, outgoing, toString(keys[0])
