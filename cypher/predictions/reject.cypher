// predictions/reject: say that proposals of the active set are not true; the items stay without a class
// access: write
// slot   item      node_type    label of the items
// slot   item_key  property     key of the items
// slot   class     node_type    class label of the task
// slot   class_key property     key of the class nodes
// param  domain    STRING       name of the domain
// param  task      STRING       name of the task
// param  reviewer  STRING       who says so
// param  class     STRING       only of this class; '' is any, default ''
// param  below     FLOAT        0..2, default 2.0; only proposals less probable than that
// param  ids       LIST<STRING> only these predictions or items; [] is any, default []
// param  limit     INTEGER      1..100000, default 1000; least sure first
// return id        STRING       of the prediction
// return item      STRING       key of the item
// return class     STRING       which it is not
// return score     FLOAT        probability
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:FROM]-(p:Prediction)
WHERE p.state = 'proposed' AND p.score < $below
MATCH (p)-[:OF]->(item:«item»)
MATCH (p)-[:SAYS]->(c:«class»)
WHERE ($class = '' OR c.«class_key» = $class)
  AND (size($ids) = 0 OR p.id IN $ids OR item.«item_key» IN $ids)
WITH p, item, c ORDER BY p.score, p.id LIMIT $limit
SET p.state = 'rejected', p.reviewer = $reviewer, p.at = datetime()
RETURN p.id AS id, item.«item_key» AS item, c.«class_key» AS class, p.score AS score
ORDER BY score, id
