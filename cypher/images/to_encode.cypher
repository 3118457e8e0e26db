// images/to_encode: where images lie, whether a version has their vector, and which of their items have no class
// access: read
// slot   item      node_type    label of the items
// slot   item_key  property     key of the items
// slot   relation  relation     from item to class
// slot   class     node_type    class label of the task
// param  image_ids LIST<STRING> sha256
// param  property  STRING       property of ImageVector nodes that holds the version's vectors
// return image_id  STRING       sha256
// return uri       STRING       path in the store
// return width     INTEGER
// return height    INTEGER
// return encoded   BOOLEAN      it has a vector
// return items     LIST<STRING> keys of its items without a class
UNWIND $image_ids AS image_id
MATCH (i:Image {sha256: image_id})
OPTIONAL MATCH (i)-[:HAS_VECTOR]->(x:ImageVector)
RETURN i.sha256 AS image_id, i.uri AS uri, i.width AS width, i.height AS height, x[$property] IS NOT NULL AS encoded,
       COLLECT { MATCH (item:«item»)-[:HAS_IMAGE]->(i) WHERE NOT EXISTS { (item)-[:«relation»]->(:«class») }
                 RETURN item.«item_key» } AS items
