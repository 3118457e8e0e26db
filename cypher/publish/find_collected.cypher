// publish/find_collected: versions that are marked, and whose vectors, index or files may still be there
// access: read
// return version     STRING id of the version
// return image_index STRING its vector index
MATCH (v:ModelVersion)
WHERE v.collected_at IS NOT NULL AND v.removed_at IS NULL
RETURN v.id AS version, v.image_index AS image_index
ORDER BY version
