// import/left_half_way: whether the latest import of a source was stopped before its end
// access: read
// param  kind   STRING
// param  source STRING    file or folder
// param  domain STRING
// return stopped BOOLEAN
OPTIONAL MATCH (b:Batch {kind: $kind, source: $source, domain: $domain}) WHERE b.state <> 'undone'
WITH b ORDER BY b.at DESC LIMIT 1
RETURN coalesce(b.state, '') = 'stopped' AS stopped
