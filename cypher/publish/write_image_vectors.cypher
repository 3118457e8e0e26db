// publish/write_image_vectors: put a version's vectors beside their images; no row once the version is collected
// access: write
// param  version STRING    id of the version
// param  rows    LIST<MAP> {id: sha256, vector: unit vector}
// return written INTEGER   how many images got one
MATCH (v:ModelVersion {id: $version})
SET v.written_at = datetime()
WITH v // locked: a collector waits, or has come first
WHERE v.collected_at IS NULL
CALL (v) {
  UNWIND $rows AS row
  MATCH (i:Image {sha256: row.id})
  MERGE (x:ImageVector {sha256: row.id})
  MERGE (i)-[:HAS_VECTOR]->(x)
  WITH v, x, row
  CALL db.create.setNodeVectorProperty(x, v.image_property, row.vector)
  RETURN count(*) AS written
}
RETURN written
