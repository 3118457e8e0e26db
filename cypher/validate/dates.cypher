// validate/dates: dates of a label's nodes that are written in words, each wording once
// access: read
// slot   label    node_type
// slot   key      property
// slot   property property
// param  most     INTEGER      1..1000, default 5; keys a wording
// return found    STRING       the wording
// return count    INTEGER      nodes that have it
// return keys     LIST<STRING> some of their keys
MATCH (n:«label»)
WHERE n.«property» IS NOT NULL AND NOT valueType(n.«property») STARTS WITH 'INTEGER'
WITH coalesce(toStringOrNull(n.«property»), valueType(n.«property»)) AS found, count(*) AS count, collect(n.«key») AS keys
RETURN found, count, keys[..$most] AS keys
ORDER BY count DESC, found
