// schema/012_attribute_key: an Attribute is known by its key, kind:value
// access: schema
CREATE CONSTRAINT korvai_attribute_key IF NOT EXISTS FOR (n:Attribute) REQUIRE n.key IS UNIQUE
