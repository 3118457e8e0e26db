// classes/list: the classes of a task, how many items say them, and whether the active set ranks them
// access: read
// slot   item      node_type label of the items
// slot   relation  relation  from item to class
// slot   class     node_type class label of the task
// slot   class_key property  key of the class nodes
// param  domain    STRING    name of the domain
// param  task      STRING    name of the task
// return class     STRING    key of the class
// return items     INTEGER   items of that class
// return ranked    BOOLEAN   false: new since the last publish or refresh; run `korvai refresh`
OPTIONAL MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)
MATCH (c:«class»)
RETURN c.«class_key» AS class, COUNT { (c)<-[:«relation»]-(:«item») } AS items,
       s IS NOT NULL AND c[s.class_property] IS NOT NULL AS ranked
ORDER BY class
