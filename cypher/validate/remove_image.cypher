// validate/remove_image: remove an image whose file is gone, and what hangs on it
// access: write
// param  sha256  STRING
// return removed INTEGER
MATCH (i:Image {sha256: $sha256})
OPTIONAL MATCH (i)-[:HAS_VECTOR|HAS_CAPTION|DEPICTS]->(x)
DETACH DELETE i, x
RETURN count(DISTINCT i) AS removed
