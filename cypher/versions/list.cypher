// versions/list: all model versions, newest first
// access: read
// return version    STRING       id of the version
// return recipe     STRING       recipe that trained it
// return domain     STRING       name of the domain
// return at         STRING       when it was first published
// return started_by STRING       who published it
// return snapshot   STRING       content hash of the graph it learnt from
// return metrics    STRING       JSON
// return sets       INTEGER      embedding sets it produced
// return active_for LIST<STRING> tasks whose active set is one of them
// return kept       BOOLEAN      whether its vectors are still in the graph
MATCH (v:ModelVersion)
OPTIONAL MATCH (v)-[:PRODUCED]->(s:EmbeddingSet)
OPTIONAL MATCH (t:Task)-[:ACTIVE]->(s)
WITH v, count(DISTINCT s) AS sets, collect(DISTINCT t.name) AS active_for
RETURN v.id AS version, v.recipe AS recipe, v.domain AS domain, toString(v.at) AS at, v.started_by AS started_by,
       v.snapshot AS snapshot, v.metrics AS metrics, sets, active_for, v.collected_at IS NULL AS kept
ORDER BY v.at DESC, version
