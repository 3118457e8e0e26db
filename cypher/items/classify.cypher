// items/classify: the k likeliest classes of one item, by the mean cosine of its images
// access: read
// slot   item          node_type label of the items
// slot   item_key      property  key of the items
// slot   class         node_type class label of the task
// slot   class_key     property  key of the class nodes
// param  item          STRING    key of the item
// param  domain        STRING    name of the domain
// param  task          STRING    name of the task
// param  k             INTEGER   1..1000, default 5
// return class         STRING    key of the class, likeliest first, ties by key
// return probability   FLOAT     softmax(scale * mean cosine / temperature) over all classes
// return score         FLOAT     mean cosine of the item's images and the class
// return images        INTEGER   how many images were looked at
// return version       STRING    model version
// return embedding_set STRING    the active set
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (:«item» {«item_key»: $item})-[:HAS_IMAGE]->(:Image)-[:HAS_VECTOR]->(x:ImageVector)
WHERE x[v.image_property] IS NOT NULL
WITH s, v, range(0, v.dim - 1) AS axes, collect(x[v.image_property]) AS images
// A dot product with the mean vector is the mean of the dot products.
WITH s, v, axes, size(images) AS seen, [j IN axes | reduce(sum = 0.0, i IN images | sum + i[j]) / size(images)] AS image
MATCH (c:«class»)
WHERE size(c[s.class_property]) = v.dim
WITH s, v, seen, image, axes, c.«class_key» AS class, c[s.class_property] AS vector
WITH s, v, seen, class, reduce(dot = 0.0, j IN axes | dot + image[j] * vector[j]) AS score
ORDER BY score DESC, class
WITH s, v, seen, collect({class: class, score: score, logit: s.scale * score / s.temperature}) AS ranked
WHERE s.state <> 'retired' // retired while this ran: some of its vectors may have gone
WITH s, v, seen, ranked, reduce(total = 0.0, r IN ranked | total + exp(r.logit - ranked[0].logit)) AS total
UNWIND ranked[..$k] AS r
RETURN r.class AS class, exp(r.logit - ranked[0].logit) / total AS probability, r.score AS score, seen AS images,
       v.id AS version, s.id AS embedding_set
ORDER BY score DESC, class
