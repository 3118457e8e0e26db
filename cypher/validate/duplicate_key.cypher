// validate/duplicate_key: keys that several nodes of a label have
// access: read
// slot   label    node_type
// slot   key      property
// param  most     INTEGER   1..1000, default 5; examples
// return place    STRING    empty
// return count    INTEGER   keys
// return examples LIST<MAP> {key, nodes: how many have it}
MATCH (n:«label»)
WHERE n.«key» IS NOT NULL
WITH n.«key» AS key, count(*) AS nodes
WHERE nodes > 1
WITH key, nodes ORDER BY nodes DESC, key
WITH count(key) AS count, collect({key: key, nodes: nodes})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
