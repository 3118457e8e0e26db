// predictions/list: proposals by state, class and probability, surest first
// access: read
// slot   item      node_type    label of the items
// slot   item_key  property     key of the items
// slot   class     node_type    class label of the task
// slot   class_key property     key of the class nodes
// param  domain    STRING       name of the domain
// param  task      STRING       name of the task
// param  state     STRING       proposed, accepted or rejected, default proposed
// param  class     STRING       only this class; '' is any, default ''
// param  at_least  FLOAT        0..1, default 0.0
// param  limit     INTEGER      1..100000, default 50
// return id        STRING       of the prediction
// return item      STRING       key of the item
// return class     STRING       what the set says
// return score     FLOAT        probability
// return state     STRING       proposed, accepted or rejected
// return reviewer  STRING       who decided
// return at        DATETIME     when it was proposed or decided
// return embedding_set STRING   which set says so
// return method    STRING       how, where it was not by the image alone
// return facts     LIST<STRING> what counted then
MATCH (p:Prediction)-[:FROM]->(s:EmbeddingSet {domain: $domain, task: $task})
WHERE p.state = $state AND p.score >= $at_least
MATCH (p)-[:OF]->(item:«item»)
MATCH (p)-[:SAYS]->(c:«class»)
WHERE $class = '' OR c.«class_key» = $class
RETURN p.id AS id, item.«item_key» AS item, c.«class_key» AS class, p.score AS score, p.state AS state,
       p.reviewer AS reviewer, p.at AS at, s.id AS embedding_set,
       p.method AS method, p.facts AS facts
ORDER BY score DESC, item
LIMIT $limit
