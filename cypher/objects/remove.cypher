// objects/remove: remove a node with its relations
// access: write
// param  id INTEGER the node's number, as py2neo knows it
MATCH (n) WHERE id(n) = $id
DETACH DELETE n
