// pull/nodes: some nodes as columns
// access: read
// param  fields LIST<STRING>    properties to read, the key first
// param  ids    LIST<INTEGER>   internal ids
// return ids    LIST<INTEGER>   of the nodes that are there
// return values LIST<LIST<ANY>> the fields' values, null where a node has none
UNWIND $ids AS id
MATCH (n) WHERE id(n) = id
RETURN collect(id) AS ids, collect([field IN $fields | n[field]]) AS values
