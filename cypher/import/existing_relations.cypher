// import/existing_relations: the relations of one type that leave these nodes, with their properties, as columns
// access: read
// slot   type       relation
// param  ids        LIST<INTEGER>   internal ids of sources, at most some thousands
// return sources    LIST<INTEGER>   one a relation
// return targets    LIST<INTEGER>   one a relation, of any label
// return properties LIST<MAP>       one a relation
UNWIND $ids AS id
MATCH (s)-[r:«type»]->(t) WHERE id(s) = id
RETURN collect(id) AS sources, collect(id(t)) AS targets, collect(properties(r)) AS properties
