// explanations/find_image: an image by its sha256, or the first image of the item that has that key
// access: read
// slot   item     node_type label of the items
// slot   item_key property  key of the items
// param  name     STRING    sha256 of an image, or key of an item
// return image    STRING    sha256
// return uri      STRING    path in the store
// return item     STRING    key of an item that has it, null where none has
CALL () {
  MATCH (i:Image {sha256: $name})
  OPTIONAL MATCH (item:«item»)-[:HAS_IMAGE]->(i)
  RETURN i, item
  UNION
  MATCH (item:«item» {«item_key»: $name})-[:HAS_IMAGE]->(i:Image)
  RETURN i, item
}
RETURN i.sha256 AS image, i.uri AS uri, item.«item_key» AS item
ORDER BY image, item
LIMIT 1
