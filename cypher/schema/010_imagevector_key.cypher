// schema/010_imagevector_key: an ImageVector is known by its sha256
// access: schema
CREATE CONSTRAINT korvai_imagevector_sha256 IF NOT EXISTS FOR (n:ImageVector) REQUIRE n.sha256 IS UNIQUE
