// validate/items_without_image: items that no image shows
// access: read
// slot   item     node_type
// slot   item_key property
// param  most     INTEGER   1..1000, default 5; examples
// return place    STRING    empty
// return count    INTEGER   items
// return examples LIST<MAP> {key}
MATCH (n:«item»)
WHERE NOT EXISTS { (n)-[:HAS_IMAGE]->(:Image) }
WITH count(n) AS count, collect({key: n.«item_key»})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
