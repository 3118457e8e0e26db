// import/remove_vectors: remove the vectors of images that are about to go, unless another thing still holds them
// access: write
// param  keys    LIST<STRING>   sha256 of images
// return removed INTEGER
UNWIND $keys AS key
MATCH (i:Image {sha256: key})-[r:HAS_VECTOR]->(v:ImageVector)
WHERE NOT EXISTS { (i)<-[:HAS_IMAGE]-() }
DELETE r, v
RETURN count(v) AS removed
