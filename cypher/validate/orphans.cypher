// validate/orphans: overlay nodes that hang on nothing
// access: read
// slot   label    node_type
// slot   key      property
// slot   type     relation  types, any of which holds them
// param  most     INTEGER   1..1000, default 5; examples
// return place    STRING    empty
// return count    INTEGER   nodes
// return examples LIST<MAP> {key}
MATCH (n:«label»)
WHERE NOT EXISTS { (n)-[:«type»]-() }
WITH count(n) AS count, collect({key: n.«key»})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
