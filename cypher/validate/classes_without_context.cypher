// validate/classes_without_context: classes of which the graph says nothing a model could learn from
// access: read
// slot   context   relation  types that tell of a class
// slot   class     node_type
// slot   class_key property
// param  most      INTEGER   1..1000, default 5; examples
// return place     STRING    empty
// return count     INTEGER   classes
// return examples  LIST<MAP> {key}
MATCH (c:«class»)
WHERE NOT EXISTS { (c)-[:«context»|BROADER]-() }
WITH c ORDER BY c.«class_key»
WITH count(c) AS count, collect({key: c.«class_key»})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
