// validate/similar_keys: keys of a label that differ in capitals and blanks only, which no constraint sees
// access: read
// slot   label    node_type
// slot   key      property
// param  most     INTEGER   1..1000, default 5; examples
// return place    STRING    empty
// return count    INTEGER   groups of keys
// return examples LIST<MAP> {keep: the first key, key: another one}
MATCH (n:«label»)
WITH toLower(trim(replace(toStringOrNull(n.«key»), '_', ' '))) AS plain, n.«key» AS key
WHERE plain IS NOT NULL
WITH plain, min(key) AS first, max(key) AS last
WHERE first <> last
WITH count(plain) AS count, collect({keep: first, key: last})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
