// validate/two_parents: what stands under two parents of one hierarchy
// access: read
// slot   class     node_type
// slot   class_key property
// param  facet     STRING        which hierarchy
// param  steps     INTEGER       relations from a class to the top
// param  levels    LIST<STRING>  names of the levels, classes first
// param  most      INTEGER       1..1000, default 5; examples
// return place     STRING        empty
// return count     INTEGER       nodes
// return examples  LIST<MAP>     {key, others: keys or names of the parents, id: internal id of the last relation}
MATCH (n)-[r:BROADER {facet: $facet}]->(p)
WHERE EXISTS { (:«class»)-[:BROADER*0..8 {facet: $facet}]->(n) }
WITH n, r, coalesce(p.name, p.key) AS parent ORDER BY parent
WITH n, collect(parent) AS others, collect(elementId(r)) AS ids, $steps AS steps, $levels AS levels
WHERE size(others) > 1
WITH {key: coalesce(n.«class_key», n.key), others: others[..5], id: last(ids)} AS example ORDER BY example.key
WITH count(example) AS count, collect(example)[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
