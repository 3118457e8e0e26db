// publish/drop_image_index: remove the vector index of a collected version
// access: schema
// slot   index index name of the index
DROP INDEX «index» IF EXISTS
