// predictions/propose_given: answers found outside the database, as proposals of the active set; kept apart by their method
// access: write
// slot   item      node_type label of the items
// slot   item_key  property  key of the items
// slot   relation  relation  from item to class
// slot   class     node_type class label of the task
// slot   class_key property  key of the class nodes
// param  domain    STRING    name of the domain
// param  task      STRING    name of the task
// param  method    STRING    how they were found
// param  rows      LIST<MAP> item, class, score, facts (what counted, in words)
// return id        STRING    of a proposal that is open now, or as before where it was decided
// return item      STRING    key of the item
// return open      BOOLEAN   false: this set's proposal for the item was accepted or rejected before
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)
UNWIND $rows AS row
MATCH (item:«item» {«item_key»: row.item})
WHERE NOT EXISTS { (item)-[:«relation»]->(:«class») }
MATCH (c:«class» {«class_key»: row.class})
MERGE (p:Prediction {id: s.id + '/' + row.item})
ON CREATE SET p.state = 'proposed', p.at = datetime()
WITH s, row, item, c, p, p.state = 'proposed' AS open
CALL (s, row, item, c, p, open) {
  WITH s, row, item, c, p WHERE open
  SET p.score = row.score, p.method = $method, p.facts = row.facts
  MERGE (p)-[:OF]->(item)
  MERGE (p)-[:FROM]->(s)
  WITH row, c, p
  OPTIONAL MATCH (p)-[old:SAYS|EVIDENCE]->()
  DELETE old
  WITH DISTINCT c, p
  CREATE (p)-[:SAYS]->(c)
}
RETURN p.id AS id, row.item AS item, open
ORDER BY id
