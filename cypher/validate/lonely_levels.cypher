// validate/lonely_levels: levels of a hierarchy that hold one class
// access: read
// slot   class     node_type
// slot   class_key property
// param  facet     STRING        which hierarchy; one that nobody uses is passed over
// param  steps     INTEGER       relations from a class to the top
// param  levels    LIST<STRING>  names of the levels, classes first
// param  most      INTEGER       1..1000, default 5; examples
// return place     STRING        the level
// return count     INTEGER       1
// return examples  LIST<MAP>     {key: that class}
MATCH way = (c:«class»)-[:BROADER*1..8 {facet: $facet}]->(p)
WITH length(way) AS level, p WHERE level <= $steps
WITH level, collect(DISTINCT coalesce(p.«class_key», p.key)) AS keys
WHERE size(keys) = 1
RETURN $levels[level] AS place, size(keys) AS count, [key IN keys | {key: key}][..$most] AS examples
ORDER BY level
