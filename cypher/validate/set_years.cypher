// validate/set_years: put years in place of dates in words
// access: write
// slot   label    node_type
// slot   property property
// param  years    MAP      words -> year
// return changed  INTEGER  nodes
MATCH (n:«label»)
WHERE $years[toStringOrNull(n.«property»)] IS NOT NULL
SET n.«property» = $years[toStringOrNull(n.«property»)]
RETURN count(n) AS changed
