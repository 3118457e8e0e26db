// validate/add_relation: connect two nodes
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  source     STRING key of the source
// param  target     STRING key of the target
// return source     STRING
// return target     STRING
MATCH (a:«source» {«source_key»: $source}), (b:«target» {«target_key»: $target})
MERGE (a)-[:«type»]->(b)
RETURN a.«source_key» AS source, b.«target_key» AS target
