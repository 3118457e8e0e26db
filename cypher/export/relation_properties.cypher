// export/relation_properties: which properties do the relations of each type have?
// access: read
// param  types LIST<STRING> relation types to look at
// return type  STRING
// return names LIST<STRING> properties of at least one relation, by name
MATCH ()-[r]->() WHERE type(r) IN $types
UNWIND keys(r) AS name
WITH DISTINCT type(r) AS type, name ORDER BY name
RETURN type, collect(name) AS names
