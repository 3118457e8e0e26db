// validate/unknown_relations: relations of a label's nodes whose type neither the domain nor the overlay knows
// access: read
// slot   label    node_type
// slot   key      property
// param  types    LIST<STRING> types that are not known
// param  most     INTEGER      1..1000, default 5; examples
// return place    STRING       the type
// return count    INTEGER      relations
// return examples LIST<MAP>    {key, id: internal id of the relation}
MATCH (n:«label»)-[r]->()
WHERE type(r) IN $types
WITH type(r) AS place, count(r) AS count, collect({key: n.«key», id: elementId(r)})[..$most] AS examples
RETURN place, count, examples
ORDER BY place
