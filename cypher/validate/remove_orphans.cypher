// validate/remove_orphans: remove the overlay nodes of a label that hang on nothing
// access: write
// slot   label   node_type
// slot   type    relation  types, any of which holds them
// return removed INTEGER
MATCH (n:«label»)
WHERE NOT EXISTS { (n)-[:«type»]-() }
DETACH DELETE n
RETURN count(n) AS removed
