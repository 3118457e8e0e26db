// validate/parallel_relations: pairs of nodes that one relation connects more than once
// access: read
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  most       INTEGER   1..1000, default 5; examples
// return place      STRING    empty
// return count      INTEGER   relations that could go
// return examples   LIST<MAP> {source: key, target: key, found: how many}
MATCH (a:«source»)
CALL (a) {
  MATCH (a)-[:«type»]->(b:«target»)
  WITH b, count(*) AS found
  WHERE found > 1
  RETURN b, found
}
WITH sum(found - 1) AS count, collect({source: a.«source_key», target: b.«target_key», found: found})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
