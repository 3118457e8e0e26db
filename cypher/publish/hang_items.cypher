// publish/hang_items: connect items with other nodes, for benchmarks
// access: write
// slot   item     node_type
// slot   item_key property
// slot   type     relation
// slot   target   node_type
// slot   key      property
// param  rows     LIST<MAP> {item: key, target: key}
// return created  INTEGER
UNWIND $rows AS row
MATCH (item:«item» {«item_key»: row.item}), (target:«target» {«key»: row.target})
CREATE (item)-[r:«type»]->(target)
RETURN count(r) AS created
