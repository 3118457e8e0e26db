// publish/retire_set: remove an outdated set's vectors from the class nodes; its node stays as a record
// access: write
// slot   class         node_type
// param  embedding_set STRING  id of the set
// param  token         INTEGER fencing token of the present publisher
// return classes       INTEGER how many nodes carried a vector; 0 where a newer publisher has taken the set up
MATCH (s:EmbeddingSet {id: $embedding_set})
SET s.locked_at = datetime()
WITH s // locked: look again
WHERE s.token < $token AND NOT EXISTS { (:Task)-[:ACTIVE|PREVIOUS]->(s) }
SET s.state = 'retired', s.token = $token, s.retired_at = datetime()
WITH s
OPTIONAL MATCH (c:«class»|Class)
WHERE c[s.class_property] IS NOT NULL
REMOVE c[coalesce(s.class_property, 'none')] // sets of task `text` have none, and c is null
RETURN count(c) AS classes
