// publish/check_images: which of some images are unknown to the graph, and which have a version's vector already
// access: read
// param  image_ids LIST<STRING> sha256 of images
// param  property  STRING       property of ImageVector nodes that holds the version's vectors
// return unknown   LIST<STRING> those without an Image node
// return present   LIST<STRING> those with a vector
UNWIND $image_ids AS image_id
OPTIONAL MATCH (i:Image {sha256: image_id})
OPTIONAL MATCH (i)-[:HAS_VECTOR]->(x:ImageVector)
RETURN collect(CASE WHEN i IS NULL THEN image_id END) AS unknown,
       collect(CASE WHEN x[$property] IS NOT NULL THEN image_id END) AS present
