// publish/find_outdated_sets: sets of a task that are neither active nor previous and belong to earlier publishers
// access: read
// param  domain        STRING  name of the domain
// param  task          STRING  name of the task
// param  token         INTEGER fencing token of the present publisher
// return embedding_set STRING  id of the set
MATCH (s:EmbeddingSet {domain: $domain, task: $task})
WHERE s.state IN ['building', 'ready'] AND s.token < $token AND NOT EXISTS { (:Task)-[:ACTIVE|PREVIOUS]->(s) }
RETURN s.id AS embedding_set
ORDER BY embedding_set
