// schema/004_batch_key: a Batch is known by its id
// access: schema
CREATE CONSTRAINT korvai_batch_id IF NOT EXISTS FOR (n:Batch) REQUIRE n.id IS UNIQUE
