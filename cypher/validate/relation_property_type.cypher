// validate/relation_property_type: values of a relation's properties that are not of the declared type
// access: read
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  types      MAP       property -> the value types it may have, as valueType() writes them
// param  most       INTEGER   1..1000, default 5; examples
// return place      STRING    the property
// return count      INTEGER   relations
// return examples   LIST<MAP> {id: internal id, source: key, target: key, found: the value, type: its type}
MATCH (a:«source»)-[r:«type»]->(b:«target»)
UNWIND [name IN keys(r) WHERE $types[name] IS NOT NULL AND NOT valueType(r[name]) IN $types[name]] AS name
WITH name, count(*) AS count,
     collect({id: elementId(r), source: a.«source_key», target: b.«target_key», found: r[name], type: valueType(r[name])})[..$most] AS examples
RETURN name AS place, count, examples
ORDER BY place
