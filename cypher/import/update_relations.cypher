// import/update_relations: set properties of relations that are there, each found by its ends and its identifying properties
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  rows       LIST<MAP>   {source, target, identity: MAP, properties: MAP}; null removes a property
// return updated    INTEGER
UNWIND $rows AS row
MATCH (s:«source» {«source_key»: row.source})-[r:«type»]->(t:«target» {«target_key»: row.target})
WHERE all(name IN keys(row.identity) WHERE r[name] = row.identity[name])
SET r += row.properties
RETURN count(r) AS updated
