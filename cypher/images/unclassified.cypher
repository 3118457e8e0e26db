// images/unclassified: images of items without a class, in the order of their hashes
// access: read
// slot   item     node_type label of the items
// slot   item_key property  key of the items
// slot   relation relation  from item to class
// slot   class    node_type class label of the task
// param  after    STRING    images whose hash comes after this one, default ''
// param  limit    INTEGER   1..10000, default 1000
// return image_id STRING    sha256
// return item     STRING    key of its item, the first one
MATCH (i:Image)
WHERE i.sha256 > $after AND EXISTS { (item:«item»)-[:HAS_IMAGE]->(i) WHERE NOT EXISTS { (item)-[:«relation»]->(:«class») } }
WITH i ORDER BY i.sha256 LIMIT $limit
MATCH (item:«item»)-[:HAS_IMAGE]->(i)
WHERE NOT EXISTS { (item)-[:«relation»]->(:«class») }
RETURN i.sha256 AS image_id, min(item.«item_key») AS item
ORDER BY image_id
