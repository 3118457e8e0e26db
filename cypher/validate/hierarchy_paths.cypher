// validate/hierarchy_paths: classes whose way up has more or fewer steps than their hierarchy has levels
// access: read
// slot   class     node_type
// slot   class_key property
// param  facet     STRING        which hierarchy; one that nobody uses is passed over
// param  steps     INTEGER       relations from a class to the top
// param  levels    LIST<STRING>  names of the levels, classes first
// param  most      INTEGER       1..1000, default 5; examples
// return place     STRING        outside, below or above
// return count     INTEGER       classes
// return examples  LIST<MAP>     {key, found: steps, wanted: levels}
MATCH (c:«class»)
WHERE EXISTS { ()-[:BROADER {facet: $facet}]->() }
OPTIONAL MATCH way = (c)-[:BROADER*1..8 {facet: $facet}]->(top)
WHERE NOT EXISTS { (top)-[:BROADER {facet: $facet}]->() }
WITH c, coalesce(max(length(way)), 0) AS found
WHERE found <> $steps
WITH CASE WHEN found = 0 THEN 'outside' WHEN found < $steps THEN 'below' ELSE 'above' END AS place, c, found
ORDER BY place, c.«class_key»
WITH place, count(c) AS count, collect({key: c.«class_key», found: found, wanted: $levels})[..$most] AS examples
RETURN place, count, examples
ORDER BY place
