// schema/008_concept_key: a Concept is known by its key
// access: schema
CREATE CONSTRAINT korvai_concept_key IF NOT EXISTS FOR (n:Concept) REQUIRE n.key IS UNIQUE
