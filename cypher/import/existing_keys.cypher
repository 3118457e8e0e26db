// import/existing_keys: which of these keys are there
// access: read
// slot   label node_type
// slot   key   property
// param  keys  LIST<STRING>   at most a few thousand
// return keys  LIST<STRING>   those that exist
MATCH (n:«label») WHERE n.«key» IN $keys
RETURN collect(n.«key») AS keys
