// tasks/active_set: what a task's active embedding set needs to be used
// access: read
// param  domain         STRING  name of the domain
// param  task           STRING  name of the task
// return version        STRING  id of the model version
// return embedding_set  STRING  id of the set
// return class_property STRING  property of class nodes that holds their vectors
// return image_property STRING  property of ImageVector nodes that holds theirs
// return image_index    STRING  vector index over that property
// return scale          FLOAT   factor of the cosines
// return temperature    FLOAT   calibration; probabilities are softmax(scale * cosine / temperature)
// return dim            INTEGER length of the vectors
// return recipe         STRING  recipe that trained the version
// return snapshot       STRING  content hash of the graph the class vectors were made from
// return graph          STRING  live or masked
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
RETURN v.id AS version, s.id AS embedding_set, s.class_property AS class_property, v.image_property AS image_property,
       v.image_index AS image_index, s.scale AS scale, s.temperature AS temperature, v.dim AS dim, v.recipe AS recipe,
       s.snapshot AS snapshot, s.graph AS graph
