// scenes/correct_attribute: put a right attribute in a wrong one's place
// access: write
// param  thing  STRING id of the thing
// param  wrong  STRING name of the attribute that it does not have
// param  right  STRING what it is instead; '' to only take the wrong one away, default ''
// return thing  STRING its id
// return key    STRING key of the attribute that went
MATCH (o:SceneObject {id: $thing})-[r:HAS_ATTRIBUTE]->(a:Attribute {name: $wrong})
WITH o, r, a, CASE coalesce(a.slot, '') WHEN '' THEN '' ELSE a.slot + '=' END AS slot, a.slot AS side
DELETE r
FOREACH (name IN CASE $right WHEN '' THEN [] ELSE [$right] END |
  MERGE (b:Attribute {key: slot + name})
  ON CREATE SET b.name = name, b.slot = side
  MERGE (o)-[:HAS_ATTRIBUTE]->(b))
RETURN o.id AS thing, a.key AS key
