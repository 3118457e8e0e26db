// images/roll_up: which movement, region or family is one image of the graph: its classes' probabilities, summed
// access: read
// slot   class         node_type class label of the task
// slot   class_key     property  key of the class nodes
// param  image_id      STRING    sha256 of the image
// param  domain        STRING    name of the domain
// param  task          STRING    name of the task
// param  facet         STRING    which hierarchy
// param  level         INTEGER   1..8, default 1; 1: parents of the classes, 2: theirs
// param  k             INTEGER   1..1000, default 5
// return name          STRING    of the class at that level, likeliest first, ties by name
// return probability   FLOAT     sum over its classes of softmax(scale * cosine / temperature) over all classes
// return classes       LIST<STRING> keys of its classes, likeliest first
// return version       STRING    model version
// return embedding_set STRING    the active set
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (:Image {sha256: $image_id})-[:HAS_VECTOR]->(x:ImageVector)
WITH s, v, x[v.image_property] AS image, range(0, v.dim - 1) AS axes
MATCH (c:«class»)
WHERE image IS NOT NULL AND size(c[s.class_property]) = v.dim
WITH s, v, c, image, axes, c[s.class_property] AS vector
WITH s, v, c, s.scale * reduce(dot = 0.0, j IN axes | dot + image[j] * vector[j]) / s.temperature AS logit
WITH s, v, collect({node: c, logit: logit}) AS ranked, max(logit) AS highest
WHERE s.state <> 'retired' // retired while this ran: some of its vectors may have gone
WITH s, v, ranked, highest, reduce(total = 0.0, r IN ranked | total + exp(r.logit - highest)) AS total
UNWIND ranked AS r
WITH s, v, r.node AS c, exp(r.logit - highest) / total AS share ORDER BY share DESC, c.«class_key»
MATCH way = (c)-[:BROADER*1..8 {facet: $facet}]->(above)
WHERE length(way) = $level
WITH s, v, above, sum(share) AS probability, collect(c.«class_key») AS classes
RETURN coalesce(above.name, above.«class_key», above.key) AS name, probability, classes,
       v.id AS version, s.id AS embedding_set
ORDER BY probability DESC, name
LIMIT $k
