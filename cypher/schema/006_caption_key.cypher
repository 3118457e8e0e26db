// schema/006_caption_key: a Caption is known by its id
// access: schema
CREATE CONSTRAINT korvai_caption_id IF NOT EXISTS FOR (n:Caption) REQUIRE n.id IS UNIQUE
