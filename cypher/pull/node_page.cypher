// pull/node_page: one page of a label's nodes as columns, in id order
// access: read
// slot   label     node_type
// param  fields    LIST<STRING>       properties to read, the key first
// param  after     INTEGER            last id of the page before; -1 for the first
// param  page_rows INTEGER            nodes a page
// return ids       LIST<INTEGER>      internal ids, good within one pull only
// return values    LIST<LIST<ANY>>    a list of values for each field, null where a node has none
// return count     INTEGER            nodes on this page; 0 after the last
// return last      INTEGER            highest id of the page
MATCH (n:«label») WHERE id(n) > $after
WITH n ORDER BY n LIMIT $page_rows
WITH collect(n) AS nodes, collect(id(n)) AS ids
RETURN ids, [field IN $fields | [n IN nodes | n[field]]] AS values, size(ids) AS count, ids[-1] AS last
