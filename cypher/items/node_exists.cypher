// items/node_exists: is there a node of that label and key?
// access: read
// slot   label  node_type
// slot   key    property
// param  value  STRING    key of the node
// return found  STRING    the key again, no row where there is none
MATCH (n:«label» {«key»: $value})
RETURN n.«key» AS found
LIMIT 1
