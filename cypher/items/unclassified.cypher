// items/unclassified: items with an image and without a class, with what the active set says of them, surest first
// access: read
// slot   item        node_type label of the items
// slot   item_key    property  key of the items
// slot   relation    relation  from item to class
// slot   class       node_type class label of the task
// slot   class_key   property  key of the class nodes
// param  domain      STRING    name of the domain
// param  task        STRING    name of the task
// param  most        INTEGER   1..10000, default 1000; how many items are looked at, in the order of their keys
// param  k           INTEGER   1..1000, default 20
// return item        STRING    key of the item
// return image_id    STRING    sha256 of its first image
// return class       STRING    likeliest class
// return probability FLOAT     of that class
// return version     STRING    model version
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (c:«class»)
WHERE size(c[s.class_property]) = v.dim
WITH s, v, range(0, v.dim - 1) AS axes, c ORDER BY c.«class_key»
WITH s, v, axes, collect({class: c.«class_key», vector: c[s.class_property]}) AS classes
MATCH (item:«item»)
WHERE NOT EXISTS { (item)-[:«relation»]->(:«class») }
MATCH (item)-[:HAS_IMAGE]->(i:Image)-[:HAS_VECTOR]->(x:ImageVector)
WHERE x[v.image_property] IS NOT NULL
WITH s, v, axes, classes, item, i, x ORDER BY i.sha256
WITH s, v, axes, classes, item, collect({id: i.sha256, vector: x[v.image_property]})[0] AS first
ORDER BY item.«item_key» LIMIT $most
WITH s, v, item, first,
     [c IN classes | {class: c.class,
                      logit: s.scale / s.temperature * reduce(dot = 0.0, j IN axes | dot + first.vector[j] * c.vector[j])}]
     AS scored
WITH v, item, first, scored, reduce(best = scored[0], r IN scored | CASE WHEN r.logit > best.logit THEN r ELSE best END) AS best
RETURN item.«item_key» AS item, first.id AS image_id, best.class AS class,
       1.0 / reduce(total = 0.0, r IN scored | total + exp(r.logit - best.logit)) AS probability, v.id AS version
ORDER BY probability DESC, item
LIMIT $k
