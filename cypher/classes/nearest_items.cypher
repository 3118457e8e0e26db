// classes/nearest_items: the k items that look most like a class, best first
// access: read
// slot   item      node_type label of the items
// slot   item_key  property  key of the items
// slot   class     node_type class label of the task
// slot   class_key property  key of the class nodes
// param  class     STRING    key of the class
// param  domain    STRING    name of the domain
// param  task      STRING    name of the task
// param  k         INTEGER   1..200, default 5
// return item      STRING    key of the item
// return image_id  STRING    its image that comes nearest
// return score     FLOAT     cosine of image and class, exact; ties by key
// return version   STRING    model version
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (c:«class» {«class_key»: $class})
WHERE size(c[s.class_property]) = v.dim
WITH v, range(0, v.dim - 1) AS axes, c[s.class_property] AS vector
CALL db.index.vector.queryNodes(v.image_index, 4 * $k + 20, vector) YIELD node
WITH v, axes, vector, node, node[v.image_property] AS found
MATCH (node)<-[:HAS_VECTOR]-(i:Image)<-[:HAS_IMAGE]-(item:«item»)
WITH v, item, i, reduce(dot = 0.0, j IN axes | dot + vector[j] * found[j]) AS score
ORDER BY score DESC, i.sha256
WITH v, item, collect({image: i.sha256, score: score})[0] AS best
RETURN item.«item_key» AS item, best.image AS image_id, best.score AS score, v.id AS version
ORDER BY score DESC, item
LIMIT $k
