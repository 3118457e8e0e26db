// validate/missing_key: nodes whose key is missing, blank or no text
// access: read
// slot   label    node_type
// slot   key      property
// param  most     INTEGER   1..1000, default 5; examples
// return place    STRING    label and key
// return count    INTEGER   nodes
// return examples LIST<MAP> {id: internal id, good for this moment only, found: what stands there}
MATCH (n:«label»)
WHERE n.«key» IS NULL OR NOT valueType(n.«key») STARTS WITH 'STRING' OR trim(toStringOrNull(n.«key»)) = ''
WITH count(n) AS count, collect({id: elementId(n), found: n.«key»})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
