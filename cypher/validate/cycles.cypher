// validate/cycles: all relations of a type that must never lead back, as columns
// access: read
// slot   type    relation
// param  labels  LIST<STRING> labels of the domain
// return ids     LIST<STRING>  internal ids of the relations, good for this moment only
// return sources LIST<INTEGER> internal ids of the starts
// return targets LIST<INTEGER> internal ids of the ends
// return names   LIST<STRING>  names or keys of the starts
MATCH (a)-[r:«type»]->(b)
WHERE any(label IN labels(a) WHERE label IN $labels) OR any(label IN labels(b) WHERE label IN $labels)
RETURN collect(elementId(r)) AS ids, collect(id(a)) AS sources, collect(id(b)) AS targets,
       collect(toString(coalesce(a.name, a.key, a.title, elementId(a)))) AS names
