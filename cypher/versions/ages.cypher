// versions/ages: what a task's active set and its version were made of, and when
// access: read
// param  domain       STRING   name of the domain
// param  task         STRING   name of the task
// return version      STRING   model version
// return recipe       STRING   recipe that trained it
// return trained_on   STRING   content hash of the graph it was trained on
// return published_at DATETIME when the version was first published
// return activated_at DATETIME when the set became active
MATCH (:Task {domain: $domain, name: $task})-[:ACTIVE]->(s:EmbeddingSet)<-[:PRODUCED]-(v:ModelVersion)
RETURN v.id AS version, v.recipe AS recipe, v.snapshot AS trained_on, v.at AS published_at, s.activated_at AS activated_at
