// publish/mark_ready: a set is complete; no row where a newer publisher has taken it over
// access: write
// param  embedding_set STRING  id of the set
// param  classes       INTEGER how many class nodes carry its vectors
// param  token         INTEGER fencing token of the publisher
// param  shadow        BOOLEAN whether it waits to be promoted by hand; an active set stays ready
// return state         STRING  ready or shadow
MATCH (s:EmbeddingSet {id: $embedding_set})
SET s.classes = $classes
WITH s
WHERE s.token = $token AND s.state <> 'retired'
SET s.state = CASE
  WHEN EXISTS { (:Task)-[:ACTIVE|PREVIOUS]->(s) } THEN 'ready'
  WHEN $shadow OR s.state = 'shadow' THEN 'shadow'
  ELSE 'ready'
END
RETURN s.state AS state
