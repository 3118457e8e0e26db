// pull/weighted_edge_page: one page of one type's relationships with a number that each carries, in id order
// access: read
// slot   type      relation
// slot   weight    property      the number's property
// param  after     INTEGER       last id of the page before; -1 for the first
// param  page_rows INTEGER       relationships a page
// return sources   LIST<INTEGER> internal ids of the start nodes, good within one pull only
// return targets   LIST<INTEGER> internal ids of the end nodes
// return weights   LIST<FLOAT>   the numbers, -1 where a relationship has none
// return count     INTEGER       relationships on this page; 0 after the last
// return last      INTEGER       highest id of the page
MATCH (source)-[r:«type»]->(target) WHERE id(r) > $after
WITH source, r, target ORDER BY r LIMIT $page_rows
RETURN collect(id(source)) AS sources, collect(id(target)) AS targets,
       collect(coalesce(toFloatOrNull(r.«weight»), -1.0)) AS weights, count(r) AS count, max(id(r)) AS last
