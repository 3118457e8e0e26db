// schema/002_modelversion_key: a ModelVersion is known by its id
// access: schema
CREATE CONSTRAINT korvai_modelversion_id IF NOT EXISTS FOR (n:ModelVersion) REQUIRE n.id IS UNIQUE
