// schema/001_image_key: an Image is known by its sha256
// access: schema
CREATE CONSTRAINT korvai_image_sha256 IF NOT EXISTS FOR (n:Image) REQUIRE n.sha256 IS UNIQUE
