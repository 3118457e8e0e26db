// import/create_relations: make relations without properties; the caller has made sure that they are missing
// access: write
// slot   source  node_type
// slot   type    relation
// slot   target  node_type
// param  groups  LIST<LIST<ANY>>   [source id, [target ids]]: grouped by source, each source is looked up once
// return created INTEGER
UNWIND $groups AS g
MATCH (s:«source») WHERE id(s) = g[0]
UNWIND g[1] AS id
MATCH (t:«target») WHERE id(t) = id
CREATE (s)-[r:«type»]->(t)
RETURN count(r) AS created
