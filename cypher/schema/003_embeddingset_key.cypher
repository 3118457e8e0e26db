// schema/003_embeddingset_key: an EmbeddingSet is known by its id
// access: schema
CREATE CONSTRAINT korvai_embeddingset_id IF NOT EXISTS FOR (n:EmbeddingSet) REQUIRE n.id IS UNIQUE
