// edits/read_nodes: nodes by their keys, locked for the rest of the transaction; vectors are left out
// access: write
// slot   target     node_type    label of the nodes
// slot   target_key property     their key
// param  keys       LIST<STRING> which
// return key        STRING       the key
// return labels     LIST<STRING> all labels
// return names      LIST<STRING> its properties but vectors
// return values     LIST<ANY>    their values, in that order
UNWIND $keys AS wanted
MATCH (n:«target» {«target_key»: wanted})
REMOVE n.`korvai lock`
WITH wanted, n
WITH wanted, n, [name IN keys(n) WHERE NOT name STARTS WITH 'embedding_'] AS names
RETURN wanted AS key, labels(n) AS labels, names, [name IN names | n[name]] AS values
