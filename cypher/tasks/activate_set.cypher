// tasks/activate_set: make a ready embedding set the active one, and the active one the previous; run after tasks/lock
// access: write
// param  domain        STRING name of the domain
// param  task          STRING name of the task
// param  embedding_set STRING id of the set
// return active        STRING id of the active set
// return previous      STRING id of the set to roll back to, or null
MATCH (t:Task {domain: $domain, name: $task})
MATCH (new:EmbeddingSet {id: $embedding_set, domain: $domain, task: $task})
SET new.locked_at = datetime()
WITH t, new // locked: whoever retires outdated sets may have been faster
WHERE new.state IN ['ready', 'shadow']
OPTIONAL MATCH (t)-[active:ACTIVE]->(old:EmbeddingSet)
OPTIONAL MATCH (t)-[previous:PREVIOUS]->(:EmbeddingSet)
FOREACH (_ IN CASE WHEN old IS NULL OR old <> new THEN [1] ELSE [] END |
  DELETE active, previous
  FOREACH (replaced IN CASE WHEN old IS NULL THEN [] ELSE [old] END | MERGE (t)-[:PREVIOUS]->(replaced))
  MERGE (t)-[:ACTIVE]->(new)
  SET new.activated_at = datetime()
)
SET new.state = 'ready'
WITH DISTINCT t, new
OPTIONAL MATCH (t)-[:PREVIOUS]->(p:EmbeddingSet)
RETURN new.id AS active, p.id AS previous
