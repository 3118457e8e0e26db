// schema/domain_key: one node type's key is unique
// access: schema
// slot constraint index     the constraint's name
// slot label      node_type
// slot key        property
CREATE CONSTRAINT «constraint» IF NOT EXISTS FOR (n:«label») REQUIRE n.«key» IS UNIQUE
