// publish/create_image_index: the vector index of one version's image vectors
// access: schema
// slot   index    index    name of the index
// slot   property property property of ImageVector nodes
// param  options  MAP      {indexConfig: {`vector.dimensions`, `vector.similarity_function`}}
CREATE VECTOR INDEX «index» IF NOT EXISTS FOR (n:ImageVector) ON (n.«property») OPTIONS $options
