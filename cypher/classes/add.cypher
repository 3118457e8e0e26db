// classes/add: a new class, with the items that belong to it; after `korvai refresh` it is ranked like any other
// access: write
// slot   item        node_type    label of the items
// slot   item_key    property     key of the items
// slot   relation    relation     from item to class
// slot   class       node_type    class label of the task
// slot   class_key   property     key of the class nodes
// param  class       STRING       key of the new class
// param  description STRING       a sentence or two: the model reads it
// param  items       LIST<STRING> keys of items that belong to it and have no class yet, default []
// return class       STRING       its key
// return items       INTEGER      how many items it has now
MERGE (c:«class» {«class_key»: $class})
SET c:Class, c.description = $description
WITH c
CALL (c) {
  UNWIND $items AS key
  MATCH (item:«item» {«item_key»: key})
  WHERE NOT EXISTS { (item)-[:«relation»]->(:«class») }
  CREATE (item)-[:«relation»]->(c)
}
RETURN c.«class_key» AS class, COUNT { (c)<-[:«relation»]-(:«item») } AS items
