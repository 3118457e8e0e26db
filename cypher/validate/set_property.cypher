// validate/set_property: give one node a property
// access: write
// slot   label    node_type
// slot   key      property
// slot   property property
// param  node     STRING key of the node
// param  value    ANY    the value
// return value    ANY    what stands there now
MATCH (n:«label» {«key»: $node})
SET n.«property» = $value
RETURN n.«property» AS value
