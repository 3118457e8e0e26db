// validate/property_type: values of a label's properties that are not of the declared type
// access: read
// slot   label    node_type
// slot   key      property
// param  types    MAP       property -> the value types it may have, as valueType() writes them
// param  most     INTEGER   1..1000, default 5; examples
// return place    STRING    the property
// return count    INTEGER   nodes
// return examples LIST<MAP> {key, found: the value, type: its type}
MATCH (n:«label»)
UNWIND [name IN keys(n) WHERE $types[name] IS NOT NULL AND NOT valueType(n[name]) IN $types[name]] AS name
WITH name, n.«key» AS key, n[name] AS found ORDER BY name, key
WITH name, count(*) AS count, collect({key: key, found: found, type: valueType(found)})[..$most] AS examples
RETURN name AS place, count, examples
ORDER BY place
