// publish/create_set: note an embedding set in state building; a ready one stays ready
// access: write
// param  version       STRING  id of the model version
// param  embedding_set STRING  id of the set
// param  properties    MAP     what is known of it, written once
// param  token         INTEGER fencing token of the publisher
// return state         STRING  building, ready or shadow
// return content       STRING  hash of what the set was made of
MATCH (v:ModelVersion {id: $version})
WHERE v.collected_at IS NULL
MERGE (s:EmbeddingSet {id: $embedding_set})
ON CREATE SET s += $properties, s.at = datetime()
MERGE (v)-[:PRODUCED]->(s)
SET s.locked_at = datetime()
WITH s // locked: a slower publisher of the same set never lowers the token of a newer one
SET s.token = CASE WHEN coalesce(s.token, 0) < $token THEN $token ELSE s.token END, s.state = CASE WHEN s.state IN ['ready', 'shadow'] THEN s.state ELSE 'building' END
RETURN s.state AS state, s.content AS content
