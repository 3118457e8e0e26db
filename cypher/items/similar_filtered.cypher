// items/similar_filtered: the k items that look most like an item among those that hang on a node: of a style, in a museum
// access: read
// slot   item       node_type label of the items
// slot   item_key   property  key of the items
// slot   start      node_type label of the node that the items hang on
// slot   start_key  property  its key
// slot   how        relation  from item to that node
// param  item       STRING    key of the item
// param  domain     STRING    name of the domain
// param  task       STRING    name of the task whose active version is asked
// param  value      STRING    key of the node that the items hang on
// param  others     LIST<MAP> more such nodes: {types: relations, label, key, value}
// param  date       STRING    property of items that holds a year
// param  first      INTEGER   -9999..9999, default -9999; first year, together with last
// param  last       INTEGER   -9999..9999, default 9999; items without a year are left out unless both are the defaults
// param  exact_most INTEGER   0..100000000, default 20000; up to so many matching items all are compared, else the index is asked
// param  k          INTEGER   1..1000, default 5
// return item       STRING    key of the other item
// return image_id   STRING    its image that comes nearest
// return score      FLOAT     cosine of the two images, exact; ties by key
// return version    STRING    model version
// return matching   INTEGER   items that meet the conditions
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (me:«item» {«item_key»: $item})-[:HAS_IMAGE]->(:Image)-[:HAS_VECTOR]->(x:ImageVector)
WHERE x[v.image_property] IS NOT NULL
WITH v, me, range(0, v.dim - 1) AS axes, collect(x[v.image_property]) AS mine, COUNT { (:ImageVector) } AS total
CALL (me) {
  MATCH (:«start» {«start_key»: $value})<-[:«how»]-(other:«item»)
  WHERE other <> me AND (($first = -9999 AND $last = 9999) OR $first <= other[$date] <= $last)
    AND all(f IN $others WHERE EXISTS { (other)-[r]->(t) WHERE type(r) IN f.types AND f.label IN labels(t) AND t[f.key] = f.value })
  RETURN collect(DISTINCT other) AS candidates
}
CALL (v, mine, candidates, total) {
  // Few: compare them all. Many: the nearest are among those that the index finds, so many that k of them match.
  UNWIND CASE WHEN size(candidates) <= $exact_most THEN candidates ELSE [] END AS other
  MATCH (other)-[:HAS_IMAGE]->(i:Image)-[:HAS_VECTOR]->(node:ImageVector)
  WHERE node[v.image_property] IS NOT NULL
  RETURN other, i, node
UNION
  UNWIND CASE WHEN size(candidates) > $exact_most THEN mine ELSE [] END AS vector
  CALL db.index.vector.queryNodes(v.image_index, toInteger(2.0 * $k * total / size(candidates)) + 50 + size(mine), vector) YIELD node
  MATCH (node)<-[:HAS_VECTOR]-(i:Image)<-[:HAS_IMAGE]-(other:«item»)
  WHERE other IN candidates
  RETURN other, i, node
}
UNWIND mine AS vector
// The built-in cosine is quick and in single precision: it chooses, with room to spare, whom to score exactly.
WITH v, axes, mine, candidates, other, i, node, max(vector.similarity.cosine(node[v.image_property], vector)) AS rough
ORDER BY rough DESC
WITH v, axes, mine, candidates, other, max(rough) AS rough, collect({image: i.sha256, vector: node[v.image_property]})[..3] AS shown
ORDER BY rough DESC LIMIT 2 * $k + 20
UNWIND shown AS one
UNWIND mine AS vector
WITH v, candidates, other, one.image AS image, max(reduce(dot = 0.0, j IN axes | dot + vector[j] * one.vector[j])) AS score
ORDER BY score DESC, image
WITH v, candidates, other, collect({image: image, score: score})[0] AS best
RETURN other.«item_key» AS item, best.image AS image_id, best.score AS score, v.id AS version, size(candidates) AS matching
ORDER BY score DESC, item
LIMIT $k
