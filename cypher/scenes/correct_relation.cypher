// scenes/correct_relation: say rightly how one thing stands to another
// access: write
// param  subject   STRING id of the one
// param  object    STRING id of the other
// param  wrong     STRING the predicate that is not so
// param  right     STRING the predicate that is; '' to only take the wrong one away, default ''
// return subject   STRING id of the one
// return object    STRING id of the other
MATCH (s:SceneObject {id: $subject})-[r:RELATION {predicate: $wrong}]->(o:SceneObject {id: $object})
DELETE r
FOREACH (predicate IN CASE $right WHEN '' THEN [] ELSE [$right] END | MERGE (s)-[:RELATION {predicate: predicate}]->(o))
RETURN s.id AS subject, o.id AS object
