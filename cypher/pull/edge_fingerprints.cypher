// pull/edge_fingerprints: has the set of any type's relationships changed?
// access: read
// param  types LIST<STRING> relationship types to look at
// return name  STRING       a type that has relationships
// return count INTEGER      its relationships
// return check INTEGER      weighted sum of their ids and their ends' ids, since a freed id is used again
MATCH (source)-[r]->(target) WHERE type(r) IN $types
RETURN type(r) AS name, count(r) AS count, sum(id(r) + 3 * id(source) + 7 * id(target)) AS check
