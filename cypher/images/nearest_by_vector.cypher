// images/nearest_by_vector: the k items whose images look most like a picture that is not in the graph, by its vector
// access: read
// slot   item     node_type   label of the items
// slot   item_key property    key of the items
// param  vector   LIST<FLOAT> unit vector from the version's image tower
// param  version  STRING      that version; no rows once another one is active
// param  domain   STRING      name of the domain
// param  task     STRING      name of the task
// param  k        INTEGER     1..200, default 5
// return item     STRING      key of the item
// return image_id STRING      its image that comes nearest
// return score    FLOAT       cosine of the two pictures, exact; ties by key
// return version  STRING      model version
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion {id: $version})
WHERE size($vector) = v.dim
// The index is approximate and knows images, not items: ask for more, then score exactly.
CALL db.index.vector.queryNodes(v.image_index, 4 * $k + 20, $vector) YIELD node
WITH v, range(0, v.dim - 1) AS axes, node, node[v.image_property] AS found
MATCH (node)<-[:HAS_VECTOR]-(i:Image)<-[:HAS_IMAGE]-(other:«item»)
WITH v, other, i, reduce(dot = 0.0, j IN axes | dot + $vector[j] * found[j]) AS score
ORDER BY score DESC, i.sha256
WITH v, other, collect({image: i.sha256, score: score})[0] AS best
RETURN other.«item_key» AS item, best.image AS image_id, best.score AS score, v.id AS version
ORDER BY score DESC, item
LIMIT $k
