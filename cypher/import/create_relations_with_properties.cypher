// import/create_relations_with_properties: make relations with properties; the caller has made sure that they are missing
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  groups     LIST<MAP>   {source, targets: LIST<{key, properties}>}
// return created    INTEGER
UNWIND $groups AS g
MATCH (s:«source» {«source_key»: g.source})
UNWIND g.targets AS row
MATCH (t:«target» {«target_key»: row.key})
CREATE (s)-[r:«type»]->(t)
SET r = row.properties
RETURN count(r) AS created
