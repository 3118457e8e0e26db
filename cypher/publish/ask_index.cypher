// publish/ask_index: what a vector index says are the images nearest to a vector
// access: read
// param  index     STRING       name of the index
// param  k         INTEGER      1..10000, default 10
// param  vector    LIST<FLOAT>  unit length
// return image_ids LIST<STRING> sha256, nearest first
CALL db.index.vector.queryNodes($index, $k, $vector) YIELD node, score
WITH node, score ORDER BY score DESC
RETURN collect(node.sha256) AS image_ids
