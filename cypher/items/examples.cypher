// items/examples: an item with a class, and another class, for examples that work when they are clicked
// access: read
// slot   item        node_type label of the items
// slot   item_key    property  key of the items
// slot   relation    relation  from item to class
// slot   class       node_type class label of the task
// slot   class_key   property  key of the class nodes
// return item        STRING    key of an item; one with an image where there is one
// return class       STRING    its class
// return other_class STRING    another class
MATCH (item:«item»)-[:«relation»]->(c:«class»)
WITH item, c LIMIT 200
WITH item, c ORDER BY EXISTS { (item)-[:HAS_IMAGE]->() } DESC, item.«item_key» LIMIT 1
OPTIONAL MATCH (o:«class») WHERE o <> c
WITH item, c, o ORDER BY o.«class_key» LIMIT 1
RETURN item.«item_key» AS item, c.«class_key» AS class, coalesce(o.«class_key», c.«class_key») AS other_class
