// tasks/previous_set: the set that was active before, to which a rollback goes
// access: read
// param  domain        STRING name of the domain
// param  task          STRING name of the task
// return embedding_set STRING id of the set
// return version       STRING id of its model version
// return image_index   STRING vector index of that version
MATCH (:Task {domain: $domain, name: $task})-[:PREVIOUS]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
RETURN s.id AS embedding_set, v.id AS version, v.image_index AS image_index
