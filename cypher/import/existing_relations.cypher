// import/existing_relations: the relations of one type that leave these nodes, grouped by source
// access: read
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  sources    LIST<STRING>   keys of sources
// return source     STRING
// return targets    LIST<STRING>   keys of the targets
// return properties LIST<MAP>      properties of the relations, in the same order
UNWIND $sources AS key
MATCH (s:«source» {«source_key»: key})-[r:«type»]->(t:«target»)
RETURN s.«source_key» AS source, collect(t.«target_key») AS targets, collect(properties(r)) AS properties
