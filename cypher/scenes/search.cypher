// scenes/search: items whose scenes meet most of the facts asked for, those that meet all first
// access: read
// slot   item     node_type label of the items
// slot   item_key property  their key
// param  facts    LIST<MAP> {text, subject, attributes, predicates, object, object_attributes}; object '' for a thing alone
// param  k        INTEGER   1..1000, default 10
// return item     STRING    key of the item
// return image_id STRING    sha256 of the image
// return met      LIST<STRING> texts of the facts that are true of it
// return score    FLOAT     their share, 0..1
UNWIND $facts AS fact
CALL (fact) {
  WITH fact WHERE fact.object = ''
  MATCH (image:Image)-[:DEPICTS]->(s:SceneObject {name: fact.subject})
  WHERE all(word IN fact.attributes WHERE EXISTS { (s)-[:HAS_ATTRIBUTE]->(:Attribute {name: word}) })
  RETURN DISTINCT image
  UNION
  WITH fact WHERE fact.object <> ''
  MATCH (image:Image)-[:DEPICTS]->(s:SceneObject {name: fact.subject})-[r:RELATION]->(o:SceneObject {name: fact.object})
  WHERE r.predicate IN fact.predicates
    AND all(word IN fact.attributes WHERE EXISTS { (s)-[:HAS_ATTRIBUTE]->(:Attribute {name: word}) })
    AND all(word IN fact.object_attributes WHERE EXISTS { (o)-[:HAS_ATTRIBUTE]->(:Attribute {name: word}) })
  RETURN DISTINCT image
}
WITH image, collect(DISTINCT fact.text) AS met
ORDER BY size(met) DESC, image.sha256 LIMIT $k
MATCH (item:«item»)-[:HAS_IMAGE]->(image)
RETURN item.«item_key» AS item, image.sha256 AS image_id, met, toFloat(size(met)) / size($facts) AS score
ORDER BY score DESC, item LIMIT $k
