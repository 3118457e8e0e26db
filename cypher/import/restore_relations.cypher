// import/restore_relations: put a relation's properties back, where they still are what the import wrote
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  rows       LIST<MAP>   {source, target, identity: MAP, old: MAP, new: MAP}
// return restored   INTEGER
UNWIND $rows AS row
MATCH (s:«source» {«source_key»: row.source})-[r:«type»]->(t:«target» {«target_key»: row.target})
WHERE all(name IN keys(row.identity) WHERE r[name] = row.identity[name])
  AND all(name IN keys(row.new) WHERE r[name] = row.new[name])
SET r += row.old
RETURN count(r) AS restored
