// import/create_relations: make relations without properties; the caller has made sure that they are missing
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  groups     LIST<MAP>   {source, targets: LIST<STRING>}: grouped by source, each source is looked up once
// return created    INTEGER
UNWIND $groups AS g
MATCH (s:«source» {«source_key»: g.source})
UNWIND g.targets AS key
MATCH (t:«target» {«target_key»: key})
CREATE (s)-[r:«type»]->(t)
RETURN count(r) AS created
