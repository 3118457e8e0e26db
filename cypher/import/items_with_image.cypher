// import/items_with_image: which of these items have an image already
// access: read
// slot   item  node_type
// slot   key   property
// param  keys  LIST<STRING>
// return keys  LIST<STRING>   those that have one
MATCH (n:«item») WHERE n.«key» IN $keys AND EXISTS { (n)-[:HAS_IMAGE]->(:Image) }
RETURN collect(n.«key») AS keys
