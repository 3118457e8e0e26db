// pull/edge_fingerprint: has the set of one type's relationships changed, other domains' nodes left aside?
// access: read
// slot   type   relation
// param  labels LIST<STRING> labels of the start nodes that count
// return count  INTEGER      relationships
// return check  INTEGER      weighted sum of ids, as in pull/edge_fingerprints
MATCH (source)-[r:«type»]->(target) WHERE any(label IN labels(source) WHERE label IN $labels)
RETURN count(r) AS count, sum(id(r) + 3 * id(source) + 7 * id(target)) AS check
