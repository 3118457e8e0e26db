// publish/create_version: note a model version and that its vectors are wanted; an existing one stays as it is
// access: write
// param  version    STRING id of the version
// param  properties MAP    what is known of it, written once
// return content    STRING hash of what the version was made of
MERGE (v:ModelVersion {id: $version})
ON CREATE SET v += $properties, v.at = datetime()
SET v.collected_at = null, v.removed_at = null
RETURN v.content AS content
