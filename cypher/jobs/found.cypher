// jobs/found: what a search that was asked for as a job has found, nearest first
// access: read
// slot   item     node_type label of the items
// slot   item_key property  key of the items
// param  job      STRING    id of the job; default '', which means the newest search
// return text     STRING    what was searched for
// return rank     INTEGER   1 is the nearest
// return score    FLOAT     cosine of text and image
// return item     STRING    key of the item
// return image_id STRING    sha256 of its image
MATCH (j:Job {kind: 'search'})
WHERE $job IN ['', j.id]
WITH j ORDER BY j.created_at DESC LIMIT 1
MATCH (j)-[f:FOUND]->(i:Image)<-[:HAS_IMAGE]-(n:«item»)
RETURN j.text AS text, f.rank AS rank, f.score AS score, n.«item_key» AS item, i.sha256 AS image_id
ORDER BY rank, item
