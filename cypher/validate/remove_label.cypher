// validate/remove_label: take a label off one node
// access: write
// slot   label  node_type
// slot   key    property
// slot   wrong  node_type the label that goes
// param  node   STRING       key of the node
// return labels LIST<STRING> what is left
MATCH (n:«label» {«key»: $node})
REMOVE n:«wrong»
RETURN labels(n) AS labels
