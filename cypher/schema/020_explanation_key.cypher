// schema/020_explanation_key: an Explanation is known by its id
// access: schema
CREATE CONSTRAINT korvai_explanation_key IF NOT EXISTS FOR (n:Explanation) REQUIRE n.id IS UNIQUE
