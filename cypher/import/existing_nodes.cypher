// import/existing_nodes: which of these keys are there, and what do their nodes hold under the given property names
// access: read
// slot   label  node_type
// slot   key    property
// param  keys   LIST<STRING>        at most some thousands
// param  names  LIST<STRING>        properties to compare
// return keys   LIST<STRING>        the keys that exist
// return ids    LIST<INTEGER>       internal ids, good while the import's lease is held
// return values LIST<LIST<ANY>>     one list per key, in the order of names, null where a property is absent
MATCH (n:«label») WHERE n.«key» IN $keys
RETURN collect(n.«key») AS keys, collect(id(n)) AS ids, collect([name IN $names | n[name]]) AS values
