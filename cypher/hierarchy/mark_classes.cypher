// hierarchy/mark_classes: whatever stands in a hierarchy is a class
// access: write
// param  facet  STRING   which hierarchy
// return marked INTEGER  nodes that were not marked yet
MATCH (a)-[:BROADER {facet: $facet}]->(b)
UNWIND [a, b] AS n
WITH DISTINCT n WHERE NOT n:Class
SET n:Class
RETURN count(n) AS marked
