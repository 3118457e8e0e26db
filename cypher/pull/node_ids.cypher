// pull/node_ids: the internal ids of the nodes of a label that have some keys
// access: read
// slot   label node_type
// slot   key   property
// param  keys  LIST<STRING>
// return ids   LIST<INTEGER> internal ids, good within one pull only
// return keys  LIST<STRING>  the key of each
UNWIND $keys AS key
MATCH (n:«label» {«key»: key})
RETURN collect(id(n)) AS ids, collect(key) AS keys
