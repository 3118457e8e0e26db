// pull/image_fingerprint: has the set of the items' images changed?
// access: read
// slot   item  node_type label of the nodes that carry images
// return count INTEGER   pairs of item and image
// return check INTEGER   weighted sum of ids
MATCH (item:«item»)-[r:HAS_IMAGE]->(image:Image)
RETURN count(r) AS count, sum(id(r) + 3 * id(item) + 7 * id(image)) AS check
