// export/node_properties: which properties do the nodes of each label have, vectors left out?
// access: read
// param  labels LIST<STRING> labels to look at
// param  hidden STRING       beginning of the names to leave out
// return label  STRING
// return names  LIST<STRING> properties of at least one node, by name
MATCH (n)
UNWIND labels(n) AS label
WITH label, n WHERE label IN $labels
UNWIND keys(n) AS name
WITH DISTINCT label, name WHERE NOT name STARTS WITH $hidden
WITH label, name ORDER BY name
RETURN label, collect(name) AS names
