// objects/find: one node by its key, for kg/objects.py
// access: read
// slot   node     node_type label of the node
// slot   node_key property  its key
// param  key      STRING    which
// return node     NODE
MATCH (n:«node» {«node_key»: $key})
RETURN n AS node
