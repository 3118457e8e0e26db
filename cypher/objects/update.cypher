// objects/update: write the properties of a node that an object changed; null removes
// access: write
// param  id      INTEGER the node's number, as py2neo knows it
// param  changed MAP     the properties
// return updated INTEGER 1, or 0 where the node is gone
MATCH (n) WHERE id(n) = $id
SET n += $changed
RETURN count(n) AS updated
