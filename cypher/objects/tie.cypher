// objects/tie: connect two nodes, or write the properties of what connects them
// access: write
// slot   relation   relation type
// param  source     INTEGER  number of the node where it starts
// param  target     INTEGER  number of the node where it leads to
// param  properties MAP      of the relation
MATCH (n) WHERE id(n) = $source
MATCH (m) WHERE id(m) = $target
MERGE (n)-[r:«relation»]->(m)
SET r = $properties
