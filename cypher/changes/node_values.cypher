// changes/node_values: what some nodes of a label hold now
// access: read
// slot   node   node_type
// slot   key    property
// param  keys   LIST<STRING>
// param  fields LIST<STRING>       properties to read
// return key    STRING             of a node that is there; a key that two nodes share comes twice
// return values LIST<ANY>          the fields' values, null where it has none
MATCH (n:«node») WHERE n.«key» IN $keys
RETURN n.«key» AS key, [field IN $fields | n[field]] AS values
