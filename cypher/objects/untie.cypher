// objects/untie: take a relation between two nodes away
// access: write
// slot   relation relation type
// param  source   INTEGER  number of the node where it starts
// param  target   INTEGER  number of the node where it leads to
MATCH (n)-[r:«relation»]->(m)
WHERE id(n) = $source AND id(m) = $target
DELETE r
