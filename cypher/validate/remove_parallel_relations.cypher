// validate/remove_parallel_relations: keep one of the relations of a type between the same two nodes
// access: write
// slot   source  node_type
// slot   type    relation
// slot   target  node_type
// return removed INTEGER
MATCH (a:«source»)-[r:«type»]->(b:«target»)
WITH a, b, collect(r) AS same
WHERE size(same) > 1
UNWIND same[1..] AS r
DELETE r
RETURN count(r) AS removed
