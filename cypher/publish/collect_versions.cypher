// publish/collect_versions: mark the versions none of whose sets can be activated any more
// access: write
// param  keep    STRING id of the version being published
// return version STRING id of a marked version
MATCH (v:ModelVersion)
WHERE v.collected_at IS NULL AND v.id <> $keep AND NOT EXISTS { (v)-[:PRODUCED]->(s:EmbeddingSet) WHERE s.state <> 'retired' }
SET v.locked_at = datetime()
WITH v // locked: look again
WHERE NOT EXISTS { (v)-[:PRODUCED]->(s:EmbeddingSet) WHERE s.state <> 'retired' }
SET v.collected_at = datetime()
RETURN v.id AS version
