// jobs/write_found: tie a search's answers to its job; answers that it has already are replaced, all at once
// access: write
// param  job     STRING    id of the job
// param  rows    LIST<MAP> {image_id: sha256, rank: 1 for the nearest, score: cosine}
// return written INTEGER   answers that the job has now
MATCH (j:Job {id: $job})
SET j.seen_at = datetime.realtime() // the lock
WITH j
CALL (j) {
  OPTIONAL MATCH (j)-[old:FOUND]->(:Image)
  DELETE old
  RETURN count(old) AS removed
}
CALL (j) {
  UNWIND $rows AS row
  MATCH (i:Image {sha256: row.image_id})
  CREATE (j)-[:FOUND {rank: row.rank, score: row.score}]->(i)
  RETURN count(i) AS written
}
RETURN written
