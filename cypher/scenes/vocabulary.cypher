// scenes/vocabulary: all names, attributes and predicates that scenes use
// access: read
// return names      LIST<STRING> of things
// return attributes LIST<STRING> of things' attributes
// return predicates LIST<STRING> of relations
CALL { MATCH (o:SceneObject) RETURN collect(DISTINCT o.name) AS names }
CALL { MATCH (a:Attribute) RETURN collect(DISTINCT a.name) AS attributes }
CALL { MATCH (:SceneObject)-[r:RELATION]->() RETURN collect(DISTINCT r.predicate) AS predicates }
RETURN names, attributes, predicates
