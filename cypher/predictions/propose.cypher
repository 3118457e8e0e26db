// predictions/propose: what the active set says of the next items that have an image and no class, as proposals
// access: write
// slot   item      node_type label of the items
// slot   item_key  property  key of the items
// slot   relation  relation  from item to class
// slot   class     node_type class label of the task
// slot   class_key property  key of the class nodes
// param  domain    STRING    name of the domain
// param  task      STRING    name of the task
// param  after     STRING    items whose key comes after this one, default ''
// param  most      INTEGER   1..10000, default 1000; how many items are looked at
// param  items     LIST<STRING> only these keys, default []; none: all
// param  at_least  FLOAT     0..1, default 0.0; proposals below that probability are not written
// return looked_at INTEGER   items
// return last      STRING    key of the last one; null when there was none
// return proposed  INTEGER   proposals that are now open for these items
// return skipped   INTEGER   items whose proposal of this set was accepted or rejected before
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
CALL (s, v) {
  MATCH (c:«class»)
  WHERE size(c[s.class_property]) = v.dim
  WITH c, s ORDER BY c.«class_key»
  RETURN collect({node: c, vector: c[s.class_property]}) AS classes
}
WITH s, v, classes, range(0, v.dim - 1) AS axes
CALL (s, v) {
  MATCH (item:«item»)
  WHERE item.«item_key» > $after AND (size($items) = 0 OR item.«item_key» IN $items) AND NOT EXISTS { (item)-[:«relation»]->(:«class») }
    AND EXISTS { (item)-[:HAS_IMAGE]->(:Image)-[:HAS_VECTOR]->(x:ImageVector) WHERE x[v.image_property] IS NOT NULL }
  RETURN item ORDER BY item.«item_key» LIMIT $most
}
// An item is judged by all its images, as items/classify does.
CALL (item, v, axes) {
  MATCH (item)-[:HAS_IMAGE]->(:Image)-[:HAS_VECTOR]->(x:ImageVector)
  WHERE x[v.image_property] IS NOT NULL
  WITH axes, collect(x[v.image_property]) AS images
  RETURN CASE WHEN size(images) = 1 THEN images[0]
         ELSE [j IN axes | reduce(sum = 0.0, i IN images | sum + i[j]) / size(images)] END AS image
}
WITH s, item, [c IN classes | {node: c.node,
       logit: s.scale / s.temperature * reduce(dot = 0.0, j IN axes | dot + image[j] * c.vector[j])}] AS scored
WITH s, item, scored,
     reduce(best = scored[0], r IN scored | CASE WHEN r.logit > best.logit THEN r ELSE best END) AS best
WITH s, item, best.node AS class,
     1.0 / reduce(total = 0.0, r IN scored | total + exp(r.logit - best.logit)) AS probability
CALL (s, item, class, probability) {
  WITH s, item, class, probability WHERE probability >= $at_least
  MERGE (p:Prediction {id: s.id + '/' + item.«item_key»})
  ON CREATE SET p.state = 'proposed', p.score = probability, p.at = datetime()
  WITH s, item, class, probability, p WHERE p.state = 'proposed'
  SET p.score = probability
  REMOVE p.method, p.facts
  MERGE (p)-[:OF]->(item)
  MERGE (p)-[:FROM]->(s)
  WITH p, class
  OPTIONAL MATCH (p)-[old:SAYS|EVIDENCE]->(other) WHERE other <> class OR type(old) = 'EVIDENCE'
  DELETE old
  WITH DISTINCT p, class
  MERGE (p)-[:SAYS]->(class)
  RETURN count(p) AS written
}
WITH item, probability, written ORDER BY item.«item_key»
WITH collect(item.«item_key») AS keys, sum(written) AS proposed, sum(CASE WHEN probability >= $at_least THEN 1 ELSE 0 END) AS sure
RETURN size(keys) AS looked_at, keys[-1] AS last, proposed, sure - proposed AS skipped
