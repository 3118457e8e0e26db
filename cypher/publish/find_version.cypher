// publish/find_version: what a version's vectors look like
// access: read
// param  version        STRING  id of the version
// return dim            INTEGER length of its vectors
// return image_property STRING  property of ImageVector nodes
// return image_index    STRING  vector index over that property
// return domain         STRING  the version's domain
// return collected      BOOLEAN whether its vectors were removed
// return run            STRING  the run's folder, relative to the store where it lies there
MATCH (v:ModelVersion {id: $version})
RETURN v.dim AS dim, v.image_property AS image_property, v.image_index AS image_index, v.domain AS domain,
       v.collected_at IS NOT NULL AS collected, v.run AS run
