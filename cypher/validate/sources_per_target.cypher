// validate/sources_per_target: nodes with too many or too few relations of one type from sources
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
// return count      INTEGER   targets
// return examples   LIST<MAP> {key: of the target, found: how many, others: keys of sources, id: internal id of the last relation}
MATCH (b:«target»)
WITH b, COUNT { (:«source»)-[:«type»]->(b) } AS found
WHERE found < $least OR ($highest >= 0 AND found > $highest)
WITH CASE WHEN found < $least THEN 'too few' ELSE 'too many' END AS place, b, found ORDER BY place, b.«target_key»
WITH place, count(b) AS count, collect({node: b, found: found})[..$most] AS shown
UNWIND shown AS one
WITH place, count, one, one.node AS b
OPTIONAL MATCH (a:«source»)-[r:«type»]->(b)
WITH place, count, one, b, a, r ORDER BY a.«source_key»
WITH place, count, one, b, collect(a.«source_key») AS others, collect(elementId(r)) AS ids
WITH place, count, {key: b.«target_key», found: one.found, others: others[..5], id: last(ids)} AS example ORDER BY example.key
RETURN place, count, collect(example) AS examples
ORDER BY place
