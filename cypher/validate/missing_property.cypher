// validate/missing_property: nodes without a property that the domain requires
// access: read
// slot   label    node_type
// slot   key      property
// param  required LIST<STRING> properties
// param  most     INTEGER      1..1000, default 5; examples
// return place    STRING       the property
// return count    INTEGER      nodes
// return examples LIST<MAP>    {key}
MATCH (n:«label»)
UNWIND [name IN $required WHERE n[name] IS NULL OR n[name] = ''] AS name
WITH name, n.«key» AS key ORDER BY name, key
WITH name, count(*) AS count, collect({key: key})[..$most] AS examples
RETURN name AS place, count, examples
ORDER BY place
