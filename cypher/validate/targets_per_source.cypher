// validate/targets_per_source: nodes with too many or too few relations of one type to targets
// access: read
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  least      INTEGER
// param  highest    INTEGER   -1 for any number
// param  most       INTEGER   1..1000, default 5; examples
// return place      STRING    too many or too few
// return count      INTEGER   sources
// return examples   LIST<MAP> {key: of the source, found: how many, others: keys of targets, id: internal id of the last relation}
MATCH (a:«source»)
WITH a, COUNT { (a)-[:«type»]->(:«target») } AS found
WHERE found < $least OR ($highest >= 0 AND found > $highest)
WITH CASE WHEN found < $least THEN 'too few' ELSE 'too many' END AS place, a, found ORDER BY place, a.«source_key»
WITH place, count(a) AS count, collect({node: a, found: found})[..$most] AS shown
UNWIND shown AS one
WITH place, count, one, one.node AS a
OPTIONAL MATCH (a)-[r:«type»]->(b:«target»)
WITH place, count, one, a, b, r ORDER BY b.«target_key»
WITH place, count, one, a, collect(b.«target_key») AS others, collect(elementId(r)) AS ids
WITH place, count, {key: a.«source_key», found: one.found, others: others[..5], id: last(ids)} AS example ORDER BY example.key
RETURN place, count, collect(example) AS examples
ORDER BY place
