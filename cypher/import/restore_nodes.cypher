// import/restore_nodes: put properties back to what they were, where they still are what the import wrote
// access: write
// slot   label    node_type
// slot   key      property
// param  rows     LIST<MAP>      {key, old: MAP, new: MAP} with the same names in both; null in old removes
// return restored LIST<STRING>   keys of the nodes that were put back
UNWIND $rows AS row
MATCH (n:«label» {«key»: row.key})
WHERE all(name IN keys(row.new) WHERE n[name] = row.new[name])
SET n += row.old
RETURN collect(row.key) AS restored
