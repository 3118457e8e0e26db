// import/names_in_use: which labels have nodes and which relation types have relations
// access: read
// return labels LIST<STRING>
// return types  LIST<STRING>
CALL () { CALL db.labels() YIELD label RETURN collect(label) AS labels }
CALL () { CALL db.relationshipTypes() YIELD relationshipType RETURN collect(relationshipType) AS types }
RETURN labels, types
