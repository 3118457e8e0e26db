// pull/weighted_edge_page: the relationships of one type that leave some nodes, with a number that each carries
// access: read
// slot   type    relation
// slot   weight  property        the number's property
// param  ids     LIST<INTEGER>   internal ids of the start nodes, good within one pull only
// return sources LIST<INTEGER>   internal ids of the start nodes, one a relationship
// return targets LIST<INTEGER>   internal ids of the end nodes
// return weights LIST<FLOAT>     the numbers, -1 where a relationship has none
// return count   INTEGER         relationships
// return check   INTEGER         adds up over pages to pull/edge_fingerprints'
UNWIND $ids AS id
MATCH (source)-[r:«type»]->(target) WHERE id(source) = id
RETURN collect(id) AS sources, collect(id(target)) AS targets,
       collect(coalesce(toFloatOrNull(r.«weight»), -1.0)) AS weights,
       count(r) AS count, sum(id(r) + 3 * id + 7 * id(target)) AS check
