// items/describe: how many images an item has, and how many of them have a vector of a version
// access: read
// slot   item     node_type label of the items
// slot   item_key property  key of the items
// param  item     STRING    key of the item
// param  property STRING    the version's property on ImageVector nodes
// return item     STRING    key of the item
// return images   INTEGER   its images
// return vectors  INTEGER   those with a vector
MATCH (item:«item» {«item_key»: $item})
OPTIONAL MATCH (item)-[:HAS_IMAGE]->(i:Image)
OPTIONAL MATCH (i)-[:HAS_VECTOR]->(x:ImageVector)
RETURN item.«item_key» AS item, count(DISTINCT i) AS images, count(DISTINCT CASE WHEN x[$property] IS NOT NULL THEN i END) AS vectors
