// images/classify_down: the likeliest ways down one hierarchy for one image of the graph
// access: read
// slot   class         node_type     class label of the task
// slot   class_key     property      key of the class nodes
// param  image_id      STRING        sha256 of the image
// param  domain        STRING        name of the domain
// param  task          STRING        name of the task
// param  facet         STRING        which hierarchy
// param  k             INTEGER       1..1000, default 5
// return class         STRING        key of the class at the end of the way, likeliest first, ties by key
// return path          LIST<STRING>  names from the coarsest class down to it
// return steps         LIST<FLOAT>   probability of each step: softmax(scale * cosine / temperature) among siblings
// return probability   FLOAT         of the whole way: the product of its steps; all ways sum to 1
// return version       STRING        model version
// return embedding_set STRING        the active set
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
MATCH (:Image {sha256: $image_id})-[:HAS_VECTOR]->(x:ImageVector)
WITH s, v, x[v.image_property] AS image, range(0, v.dim - 1) AS axes
MATCH way = (:«class»)-[:BROADER*1..8 {facet: $facet}]->(top)
WHERE image IS NOT NULL AND NOT EXISTS { (top)-[:BROADER {facet: $facet}]->() }
  AND all(n IN nodes(way) WHERE size(n[s.class_property]) = v.dim)
WITH s, v, image, axes, collect(nodes(way)) AS ways
UNWIND ways AS way
UNWIND range(0, size(way) - 1) AS i
WITH DISTINCT s, v, image, axes, ways, way[i] AS n, way[i + 1] AS parent
WITH s, v, ways, n, parent, n[s.class_property] AS vector, image, axes
WITH s, v, ways, n, parent,
     s.scale * reduce(dot = 0.0, j IN axes | dot + image[j] * vector[j]) / s.temperature AS logit
WITH s, v, ways, parent, collect({id: elementId(n), logit: logit}) AS siblings, max(logit) AS highest
WITH s, v, ways, siblings, highest, reduce(total = 0.0, n IN siblings | total + exp(n.logit - highest)) AS total
UNWIND siblings AS n
WITH s, v, ways, collect({id: n.id, share: exp(n.logit - highest) / total}) AS shares
WHERE s.state <> 'retired' // retired while this ran: some of its vectors may have gone
UNWIND ways AS way
WITH s, v, way, [n IN reverse(way) | head([one IN shares WHERE one.id = elementId(n) | one.share])] AS steps
RETURN head(way).«class_key» AS class, [n IN reverse(way) | coalesce(n.name, n.«class_key», n.key)] AS path, steps,
       reduce(product = 1.0, step IN steps | product * step) AS probability, v.id AS version, s.id AS embedding_set
ORDER BY probability DESC, class
LIMIT $k
