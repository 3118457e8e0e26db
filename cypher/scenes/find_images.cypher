// scenes/find_images: the image that each name means, an item's key or an image's sha256
// access: read
// slot   item     node_type    label of the items
// slot   item_key property     their key
// param  names    LIST<STRING> keys or sha256
// return name     STRING       one of the names
// return image    STRING       sha256 of its first image
UNWIND $names AS name
OPTIONAL MATCH (:«item» {«item_key»: name})-[:HAS_IMAGE]->(of_item:Image)
OPTIONAL MATCH (direct:Image {sha256: name})
WITH name, min(coalesce(direct.sha256, of_item.sha256)) AS image
WHERE image IS NOT NULL
RETURN name, image
