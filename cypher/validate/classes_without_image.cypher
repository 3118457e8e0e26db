// validate/classes_without_image: classes that no item with an image belongs to
// access: read
// slot   item      node_type
// slot   relation  relation
// slot   class     node_type
// slot   class_key property
// param  most      INTEGER   1..1000, default 5; examples
// return place     STRING    empty
// return count     INTEGER   classes
// return examples  LIST<MAP> {key, items: how many items belong to it}
MATCH (c:«class»)
WHERE NOT EXISTS { (c)<-[:«relation»]-(:«item»)-[:HAS_IMAGE]->(:Image) }
WITH c ORDER BY c.«class_key»
WITH count(c) AS count, collect({key: c.«class_key», items: COUNT { (c)<-[:«relation»]-(:«item») }})[..$most] AS examples
WHERE count > 0
RETURN '' AS place, count, examples
