// publish/remove_image_vectors: remove some image vectors of a collected version; repeat until it removes none
// access: write
// param  version STRING  id of the version
// param  batch   INTEGER most nodes in one transaction
// return removed INTEGER how many were removed
MATCH (v:ModelVersion {id: $version})
SET v.locked_at = datetime()
WITH v
WHERE v.collected_at IS NOT NULL
MATCH (x:ImageVector)
WHERE x[v.image_property] IS NOT NULL
WITH v, x LIMIT $batch
REMOVE x[v.image_property]
RETURN count(x) AS removed
