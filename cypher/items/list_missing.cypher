// items/list_missing: which items have no image, no class or no relation, and which classes no item or description
// access: read
// slot   item      node_type    label of the items
// slot   item_key  property     key of the items
// slot   relation  relation     from item to class
// slot   class     node_type    class label of the task
// slot   class_key property     key of the class nodes
// param  limit     INTEGER      1..100000, default 100
// return label     STRING       of the node
// return key       STRING       of the node
// return missing   LIST<STRING> what it has not
CALL () {
  MATCH (c:«class»)
  WITH c, [what IN ['item', 'description'] WHERE
       (what = 'item' AND NOT EXISTS { (c)<-[:«relation»]-(:«item») }) OR (what = 'description' AND c.description IS NULL)] AS missing
  RETURN 1 AS rank, head([l IN labels(c) WHERE l <> 'Class']) AS label, c.«class_key» AS key, missing
  UNION ALL
  MATCH (item:«item»)
  WHERE NOT EXISTS { (item)-[:HAS_IMAGE]->() } OR NOT EXISTS { (item)-[:«relation»]->(:«class») }
  WITH item, [what IN ['image', 'class', 'relation'] WHERE
       (what = 'image' AND NOT EXISTS { (item)-[:HAS_IMAGE]->() }) OR
       (what = 'class' AND NOT EXISTS { (item)-[:«relation»]->(:«class») }) OR
       (what = 'relation' AND NOT EXISTS { (item)-->() })] AS missing
  RETURN 2 AS rank, head(labels(item)) AS label, item.«item_key» AS key, missing
}
WITH rank, label, key, missing WHERE size(missing) > 0
RETURN label, key, missing
ORDER BY rank, size(missing) DESC, key
LIMIT $limit
