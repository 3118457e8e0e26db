// validate/set_key: give one node its key
// access: write
// slot   label node_type
// slot   key   property
// param  id    STRING    internal id, as the report tells it
// param  value STRING    the key
// return key   STRING
MATCH (n:«label»)
WHERE elementId(n) = $id
SET n.«key» = $value
RETURN n.«key» AS key
