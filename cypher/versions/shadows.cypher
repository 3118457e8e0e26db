// versions/shadows: sets that were written and not made active: refused by the gate, or published as a shadow
// access: read
// return domain        STRING name of the domain
// return task          STRING name of the task
// return embedding_set STRING id of the set, which `korvai promote` takes
// return version       STRING model version
// return metrics       STRING JSON, measured on the masked graph
// return active        STRING the active set
// return active_metrics STRING the active version's, for comparison
// return gate          STRING JSON of the job whose gate refused it, or null
MATCH (s:EmbeddingSet {state: 'shadow'})<-[:PRODUCED]-(v:ModelVersion)
OPTIONAL MATCH (:Task {domain: s.domain, name: s.task})-[:ACTIVE]->(a:EmbeddingSet)<-[:PRODUCED]-(w:ModelVersion)
OPTIONAL MATCH (j:Job) WHERE j.kind = 'retrain' AND j.result CONTAINS s.id
RETURN s.domain AS domain, s.task AS task, s.id AS embedding_set, v.id AS version, v.metrics AS metrics,
       a.id AS active, w.metrics AS active_metrics, max(j.result) AS gate
ORDER BY domain, task, embedding_set
