// publish/read_vectors_naively: what one writes first, a row an image; only benchmarks run it, beside an export
// access: read
// slot   property property    property of ImageVector nodes
// return image_id STRING      sha256
// return vector   LIST<FLOAT> its vector
MATCH (x:ImageVector)
WHERE x.«property» IS NOT NULL
RETURN x.sha256 AS image_id, x.«property» AS vector
