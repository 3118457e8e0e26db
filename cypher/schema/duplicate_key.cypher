// schema/duplicate_key: a key that two nodes of one label have, if there is any
// access: read
// slot   label node_type
// slot   key   property
// return key   ANY
// return nodes INTEGER   how many nodes have it
MATCH (n:«label»)
WHERE n.«key» IS NOT NULL
WITH n.«key» AS key, count(*) AS nodes
WHERE nodes > 1
RETURN key, nodes ORDER BY key LIMIT 1
