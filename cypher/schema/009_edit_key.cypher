// schema/009_edit_key: an Edit is known by its id
// access: schema
CREATE CONSTRAINT korvai_edit_id IF NOT EXISTS FOR (n:Edit) REQUIRE n.id IS UNIQUE
