// versions/active: the active embedding set of every task, and the one a rollback would bring back
// access: read
// return domain        STRING  name of the domain
// return task          STRING  name of the task
// return version       STRING  model version
// return embedding_set STRING  id of the set
// return graph         STRING  live or masked
// return activated_at  STRING  when it became active
// return classes       INTEGER class nodes with a vector of the set
// return scale         FLOAT   factor of the cosines
// return temperature   FLOAT   calibration
// return previous      STRING  id of the previous set, or null
MATCH (t:Task)-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
OPTIONAL MATCH (t)-[:PREVIOUS]->(p:EmbeddingSet)
RETURN t.domain AS domain, t.name AS task, v.id AS version, s.id AS embedding_set, s.graph AS graph,
       toString(s.activated_at) AS activated_at, s.classes AS classes, s.scale AS scale, s.temperature AS temperature,
       p.id AS previous
ORDER BY domain, task
