// publish/write_vectors_naively: what one writes first, a list of numbers a node; only benchmarks run it, beside write_image_vectors
// access: write
// slot   property property  property of ImageVector nodes
// param  rows     LIST<MAP> {id: sha256, vector: unit vector}
// return written  INTEGER   how many images got one
UNWIND $rows AS row
MATCH (i:Image {sha256: row.id})
MERGE (i)-[:HAS_VECTOR]->(x:ImageVector {sha256: row.id})
SET x.«property» = row.vector
RETURN count(*) AS written
