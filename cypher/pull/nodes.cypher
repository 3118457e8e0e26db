// pull/nodes: some nodes as columns
// access: read
// param  fields LIST<STRING>    properties to read, the key first
// param  ids    LIST<INTEGER>   internal ids
// return ids    LIST<INTEGER>   of the nodes that are there
// return values LIST<LIST<ANY>> a list of values for each field, null where a node has none
UNWIND $ids AS id
MATCH (n) WHERE id(n) = id
WITH collect(n) AS nodes, collect(id) AS ids
RETURN ids, [field IN $fields | [n IN nodes | n[field]]] AS values
