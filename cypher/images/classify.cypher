// images/classify: the k likeliest classes of one image of the graph
// access: read
// slot   class         node_type class label of the task
// slot   class_key     property  key of the class nodes
// param  image_id      STRING    sha256 of the image
// param  domain        STRING    name of the domain
// param  task          STRING    name of the task
// param  k             INTEGER   1..1000, default 5
// return class         STRING    key of the class, likeliest first, ties by key
// return probability   FLOAT     softmax(scale * cosine / temperature) over all classes
// return score         FLOAT     cosine of image and class
// return version       STRING    model version
// return embedding_set STRING    the active set
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (:Image {sha256: $image_id})-[:HAS_VECTOR]->(x:ImageVector)
WITH s, v, x[v.image_property] AS image, range(0, v.dim - 1) AS axes
MATCH (c:«class»)
WHERE image IS NOT NULL AND size(c[s.class_property]) = v.dim
WITH s, v, image, axes, c.«class_key» AS class, c[s.class_property] AS vector
// Both are unit vectors. vector.similarity.cosine would answer in single precision, too coarse for a large scale.
WITH s, v, class, reduce(dot = 0.0, j IN axes | dot + image[j] * vector[j]) AS score
ORDER BY score DESC, class
WITH s, v, collect({class: class, score: score, logit: s.scale * score / s.temperature}) AS ranked
WHERE s.state <> 'retired' // retired while this ran: some of its vectors may have gone
WITH s, v, ranked, reduce(total = 0.0, r IN ranked | total + exp(r.logit - ranked[0].logit)) AS total
UNWIND ranked[..$k] AS r
RETURN r.class AS class, exp(r.logit - ranked[0].logit) / total AS probability, r.score AS score,
       v.id AS version, s.id AS embedding_set
ORDER BY score DESC, class
