// changes/edges_into: the relations of one type that lead to some nodes now
// access: read
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  keys       LIST<STRING> of the nodes
// param  weight     STRING       a property of relations that holds a number
// return head       STRING       key of the start node
// return tail       STRING       key of the end node
// return weight     FLOAT        the number, -1 where there is none
MATCH (s:«source»)-[r:«type»]->(t:«target») WHERE t.«target_key» IN $keys
RETURN s.«source_key» AS head, t.«target_key» AS tail, coalesce(toFloatOrNull(r[$weight]), -1.0) AS weight
