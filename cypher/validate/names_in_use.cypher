// validate/names_in_use: the labels and relationship types that are in use
// access: read
// return labels LIST<STRING>
// return types  LIST<STRING>
CALL () { CALL db.labels() YIELD label RETURN collect(label) AS labels }
CALL () { CALL db.relationshipTypes() YIELD relationshipType RETURN collect(relationshipType) AS types }
RETURN labels, types
