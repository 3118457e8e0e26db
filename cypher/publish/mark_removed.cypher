// publish/mark_removed: nothing of a collected version is left but its record
// access: write
// param  version STRING id of the version
// return version STRING the same, unless the version came back meanwhile
MATCH (v:ModelVersion {id: $version})
SET v.locked_at = datetime()
WITH v
WHERE v.collected_at IS NOT NULL
SET v.removed_at = datetime()
RETURN v.id AS version
