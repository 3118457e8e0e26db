// pull/edge_page: the relationships of one type that leave some nodes, as two columns
// access: read
// slot   type    relation
// param  ids     LIST<INTEGER>   internal ids of the start nodes, good within one pull only
// return sources LIST<INTEGER>   internal ids of the start nodes, one a relationship
// return targets LIST<INTEGER>   internal ids of the end nodes
// return count   INTEGER         relationships
// return check   INTEGER         adds up over pages to pull/edge_fingerprints'
UNWIND $ids AS id
MATCH (source)-[r:«type»]->(target) WHERE id(source) = id
RETURN collect(id) AS sources, collect(id(target)) AS targets,
       count(r) AS count, sum(id(r) + 3 * id + 7 * id(target)) AS check
