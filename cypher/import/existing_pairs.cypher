// import/existing_pairs: the ends of the relations of one type that leave these nodes, as two columns
// access: read
// slot   type    relation
// param  ids     LIST<INTEGER>   internal ids of sources, at most some thousands
// return sources LIST<INTEGER>   one a relation
// return targets LIST<INTEGER>   one a relation, of any label
UNWIND $ids AS id
MATCH (s)-[:«type»]->(t) WHERE id(s) = id
RETURN collect(id) AS sources, collect(id(t)) AS targets
