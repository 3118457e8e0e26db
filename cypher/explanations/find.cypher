// explanations/find: one explanation by its id, with its evidence in the order of rank
// access: read
// param  id           STRING    of the explanation
// return explanation  MAP       its properties
// return evidence     LIST<MAP> node_type, key, relation, rank, weight, mask, says
MATCH (e:Explanation {id: $id})
OPTIONAL MATCH (e)-[v:EVIDENCE]->(n)
WITH e, v, n ORDER BY v.rank
RETURN e {.*} AS explanation,
       collect(v {.key, .relation, .rank, .weight, .mask, .says, node_type: [l IN labels(n) WHERE l <> 'Class'][0]})
       AS evidence
