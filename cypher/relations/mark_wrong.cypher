// relations/mark_wrong: take a relation away that is wrong; say why with edits/give_reason
// access: write
// slot   node     node_type label of the node where it starts
// slot   node_key property  its key
// param  key      STRING    key of that node
// param  relation STRING    type of the relation
// param  other    STRING    key of the node where it leads to
// return key      STRING    key of the node
// return removed  STRING    the relation that went
MATCH (n:«node» {«node_key»: $key})-[r]->(m)
WHERE type(r) = $relation AND $other IN [m.name, m.key, m.id, m.sha256]
WITH n, r, '-[' + type(r) + ']-> ' + head(labels(m)) + ' ' + $other AS removed
DELETE r
RETURN n.«node_key» AS key, removed
