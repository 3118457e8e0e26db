// publish/write_class_vectors: put a set's vectors on its class nodes, which become :Class
// access: write
// slot   class     node_type
// slot   class_key property
// param  property  STRING       the set's property on class nodes
// param  rows      LIST<MAP>    {key: class key, vector: unit vector}
// return keys      LIST<STRING> keys of the nodes written
UNWIND $rows AS row
MATCH (c:«class» {«class_key»: row.key})
SET c:Class
WITH c, row
CALL db.create.setNodeVectorProperty(c, $property, row.vector)
RETURN collect(row.key) AS keys
