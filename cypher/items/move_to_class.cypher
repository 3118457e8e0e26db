// items/move_to_class: move items (artworks to another style, sarees to another cluster) from their class to another
// access: write
// slot   item      node_type    label of the items
// slot   item_key  property     key of the items
// slot   relation  relation     from item to class
// slot   class     node_type    class label of the task
// slot   class_key property     key of the class nodes
// param  items     LIST<STRING> keys of the items
// param  class     STRING       key of the class they belong to
// return item      STRING       key of the item
// return was       LIST<STRING> its classes before
// return class     STRING       its class now
MATCH (c:«class» {«class_key»: $class})
UNWIND $items AS key
MATCH (item:«item» {«item_key»: key})
OPTIONAL MATCH (item)-[r:«relation»]->(old:«class»)
WITH c, item, collect(r) AS ties, collect(old.«class_key») AS was
FOREACH (r IN [tie IN ties WHERE endNode(tie) <> c] | DELETE r)
MERGE (item)-[:«relation»]->(c)
RETURN item.«item_key» AS item, was, c.«class_key» AS class
ORDER BY item
