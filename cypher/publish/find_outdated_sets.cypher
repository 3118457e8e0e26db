// publish/find_outdated_sets: earlier publishers' sets of a task, neither active nor previous nor among the newest shadows
// access: read
// param  domain        STRING  name of the domain
// param  task          STRING  name of the task
// param  token         INTEGER fencing token of the present publisher
// param  keep_shadows  INTEGER 0..1000; how many shadow sets, the newest, are left for a person to look at
// return embedding_set STRING  id of the set
MATCH (s:EmbeddingSet {domain: $domain, task: $task})
WHERE s.state IN ['building', 'ready', 'shadow'] AND s.token < $token AND NOT EXISTS { (:Task)-[:ACTIVE|PREVIOUS]->(s) }
WITH s ORDER BY s.at DESC, s.id
WITH [x IN collect(s) WHERE x.state <> 'shadow'] + [x IN collect(s) WHERE x.state = 'shadow'][$keep_shadows..] AS outdated
UNWIND outdated AS s
RETURN s.id AS embedding_set
ORDER BY embedding_set
