// export/relation_page: the relations of one type that leave some nodes, as columns
// access: read
// slot   type    relation
// slot   target  node_type
// param  ids     LIST<INTEGER>      internal ids of the start nodes, good within one export only
// param  fields  LIST<STRING>       properties to read
// return sources LIST<INTEGER>      internal ids of the start nodes, one a relation
// return targets LIST<INTEGER>      internal ids of the end nodes
// return values  LIST<LIST<ANY>>    the fields' values, null where a relation has none
UNWIND $ids AS id
MATCH (source)-[r:«type»]->(target:«target») WHERE id(source) = id
RETURN collect(id) AS sources, collect(id(target)) AS targets,
       CASE WHEN $fields = [] THEN [] ELSE collect([field IN $fields | r[field]]) END AS values
