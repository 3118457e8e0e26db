// import/existing_keys: which of these keys are there
// access: read
// slot   label node_type
// slot   key   property
// param  keys  LIST<STRING>    at most some thousands
// return keys  LIST<STRING>    those that exist
// return ids   LIST<INTEGER>   internal ids, good while the import's lease is held
MATCH (n:«label») WHERE n.«key» IN $keys
RETURN collect(n.«key») AS keys, collect(id(n)) AS ids
