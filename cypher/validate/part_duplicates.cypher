// validate/part_duplicates: nodes of one key get keys of their own, numbered; the first keeps its key
// access: write
// slot   label node_type
// slot   key   property
// param  value STRING       the key that several have
// return keys  LIST<STRING> what they are called now
MATCH (n:«label» {«key»: $value})
WITH n ORDER BY elementId(n)
WITH collect(n) AS nodes
UNWIND range(1, size(nodes) - 1) AS place
WITH nodes[place] AS n, place
SET n.«key» = n.«key» + ' (' + toString(place + 1) + ')'
RETURN collect(n.«key») AS keys
