// import/create_relations_with_properties: make relations with properties; the caller has made sure that they are missing
// access: write
// slot   source  node_type
// slot   type    relation
// slot   target  node_type
// param  groups  LIST<LIST<ANY>>   [source id, [[target id, properties]]]
// return created INTEGER
UNWIND $groups AS g
MATCH (s:«source») WHERE id(s) = g[0]
UNWIND g[1] AS row
MATCH (t:«target») WHERE id(t) = row[0]
CREATE (s)-[r:«type»]->(t)
SET r = row[1]
RETURN count(r) AS created
