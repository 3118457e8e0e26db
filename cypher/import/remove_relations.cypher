// import/remove_relations: remove relations found by their ends and identifying properties
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  rows       LIST<MAP>   {source, target, identity: MAP}
// return removed    INTEGER
UNWIND $rows AS row
MATCH (s:«source» {«source_key»: row.source})-[r:«type»]->(t:«target» {«target_key»: row.target})
WHERE all(name IN keys(row.identity) WHERE r[name] = row.identity[name])
DELETE r
RETURN count(r) AS removed
