// items/similar: the k items whose images look most like an item's, best first, without the item itself
// access: read
// slot   item     node_type label of the items
// slot   item_key property  key of the items
// param  item     STRING    key of the item
// param  domain   STRING    name of the domain
// param  task     STRING    name of the task whose active version is asked
// param  k        INTEGER   1..200, default 5
// return item     STRING    key of the other item
// return image_id STRING    its image that comes nearest
// return score    FLOAT     cosine of the two images, exact; ties by key
// return version  STRING    model version
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (me:«item» {«item_key»: $item})-[:HAS_IMAGE]->(:Image)-[:HAS_VECTOR]->(x:ImageVector)
WHERE x[v.image_property] IS NOT NULL
WITH v, me, range(0, v.dim - 1) AS axes, collect(x[v.image_property]) AS mine
UNWIND mine AS vector
// The index is approximate and knows images, not items: ask for more, then score exactly.
CALL db.index.vector.queryNodes(v.image_index, 4 * $k + 20 + size(mine), vector) YIELD node
WITH v, me, axes, vector, node, node[v.image_property] AS found
MATCH (node)<-[:HAS_VECTOR]-(i:Image)<-[:HAS_IMAGE]-(other:«item»)
WHERE other <> me
WITH v, other, i, max(reduce(dot = 0.0, j IN axes | dot + vector[j] * found[j])) AS score
ORDER BY score DESC, i.sha256
WITH v, other, collect({image: i.sha256, score: score})[0] AS best
RETURN other.«item_key» AS item, best.image AS image_id, best.score AS score, v.id AS version
ORDER BY score DESC, item
LIMIT $k
