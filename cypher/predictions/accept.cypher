// predictions/accept: take proposals of the active set as true: the items get their class, if they have none yet
// access: write
// slot   item      node_type    label of the items
// slot   item_key  property     key of the items
// slot   relation  relation     from item to class
// slot   class     node_type    class label of the task
// slot   class_key property     key of the class nodes
// param  domain    STRING       name of the domain
// param  task      STRING       name of the task
// param  reviewer  STRING       who says so
// param  class     STRING       only of this class; '' is any, default ''
// param  at_least  FLOAT        0..1, default 0.0; the lowest probability that is accepted
// param  ids       LIST<STRING> only these predictions or items; [] is any, default []
// param  limit     INTEGER      1..100000, default 1000; surest first
// return id        STRING       of the prediction
// return item      STRING       key of the item
// return class     STRING       its class now
// return score     FLOAT        probability
// return linked    BOOLEAN      false: somebody has classified the item meanwhile, and the prediction stays open
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:FROM]-(p:Prediction)
WHERE p.state = 'proposed' AND p.score >= $at_least
MATCH (p)-[:OF]->(item:«item»)
MATCH (p)-[:SAYS]->(c:«class»)
WHERE ($class = '' OR c.«class_key» = $class)
  AND (size($ids) = 0 OR p.id IN $ids OR item.«item_key» IN $ids)
WITH p, item, c ORDER BY p.score DESC, p.id LIMIT $limit
REMOVE item.`korvai lock` // takes the write lock: nobody else classifies the item now
WITH p, item, c, NOT EXISTS { (item)-[:«relation»]->(:«class») } AS free
FOREACH (one IN CASE WHEN free THEN [p] ELSE [] END |
  CREATE (item)-[:«relation»]->(c)
  SET one.state = 'accepted', one.reviewer = $reviewer, one.at = datetime())
RETURN p.id AS id, item.«item_key» AS item, c.«class_key» AS class, p.score AS score, free AS linked
ORDER BY score DESC, id
