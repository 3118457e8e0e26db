// publish/read_image_vectors: the vectors of some images as columns
// access: read
// slot   property  property          property of ImageVector nodes that holds the version's vectors
// param  image_ids LIST<STRING>      sha256 of images
// return image_ids LIST<STRING>      those that have a vector
// return vectors   LIST<LIST<FLOAT>> their vectors
UNWIND $image_ids AS image_id
MATCH (x:ImageVector {sha256: image_id})
WHERE x.«property» IS NOT NULL
RETURN collect(image_id) AS image_ids, collect(x.«property») AS vectors
