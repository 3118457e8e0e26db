// pull/hierarchy_page: one page of the class hierarchies as columns, in id order
// access: read
// param  after     INTEGER         last id of the page before; -1 for the first
// param  page_rows INTEGER         relationships a page
// return sources   LIST<INTEGER>   internal ids of the children
// return targets   LIST<INTEGER>   internal ids of the parents
// return facets    LIST<STRING>    which hierarchy each belongs to, empty where unnamed
// return count     INTEGER         relationships on this page; 0 after the last
// return last      INTEGER         highest id of the page
MATCH (child)-[r:BROADER]->(parent) WHERE id(r) > $after
WITH child, r, parent ORDER BY r LIMIT $page_rows
RETURN collect(id(child)) AS sources, collect(id(parent)) AS targets, collect(coalesce(r.facet, '')) AS facets,
       count(r) AS count, max(id(r)) AS last
