// images/compare_with_truth: how often the active set's first choice is the class that the graph states, per class
// access: read
// slot   item      node_type label of the items
// slot   relation  relation  from item to class
// slot   class     node_type class label of the task
// slot   class_key property  key of the class nodes
// param  domain    STRING    name of the domain
// param  task      STRING    name of the task
// param  split     STRING    value of Image.split such as test, default all
// return class     STRING    key of the class
// return images    INTEGER   images of that class
// return correct   INTEGER   those for which it is the first choice, ties by key
// return accuracy  FLOAT     correct / images
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (c:«class»)
WHERE size(c[s.class_property]) = v.dim
WITH s, v, range(0, v.dim - 1) AS axes, c ORDER BY c.«class_key»
WITH v, axes, collect({class: c.«class_key», vector: c[s.class_property]}) AS classes
MATCH (truth:«class»)<-[:«relation»]-(:«item»)-[:HAS_IMAGE]->(i:Image)-[:HAS_VECTOR]->(x:ImageVector)
WHERE ($split = 'all' OR i.split = $split) AND x[v.image_property] IS NOT NULL
WITH DISTINCT axes, classes, truth, i, x[v.image_property] AS image
WITH truth, [c IN classes | {class: c.class, score: reduce(dot = 0.0, j IN axes | dot + image[j] * c.vector[j])}] AS scored
WITH truth, reduce(best = scored[0], r IN scored | CASE WHEN r.score > best.score THEN r ELSE best END) AS best
WITH truth.«class_key» AS class, count(*) AS images, sum(CASE WHEN best.class = truth.«class_key» THEN 1 ELSE 0 END) AS correct
RETURN class, images, correct, toFloat(correct) / images AS accuracy
ORDER BY class
