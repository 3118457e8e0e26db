// pull/node_page: one page of a label's nodes as columns, in id order
// access: read
// slot   label     node_type
// param  fields    LIST<STRING>       properties to read, the key first
// param  after     INTEGER            last id of the page before; -1 for the first
// param  page_rows INTEGER            nodes a page
// return ids       LIST<INTEGER>      internal ids, good within one pull only
// return values    LIST<LIST<ANY>>    the fields' values, null where a node has none
// return count     INTEGER            nodes on this page; 0 after the last
// return last      INTEGER            highest id of the page
MATCH (n:«label») WHERE id(n) > $after
WITH n ORDER BY n LIMIT $page_rows
RETURN collect(id(n)) AS ids, collect([field IN $fields | n[field]]) AS values,
       count(n) AS count, max(id(n)) AS last
