// validate/convert_property: turn all values of a property into its declared type; those that cannot be turned stay
// access: write
// slot   label     node_type
// slot   property  property
// param  type      STRING  STRING, INTEGER, FLOAT, BOOLEAN or LIST<STRING>
// return converted INTEGER nodes
MATCH (n:«label»)
WHERE n.«property» IS NOT NULL AND NOT valueType(n.«property») = $type + ' NOT NULL'
WITH n, n.«property» AS old, CASE $type
  WHEN 'INTEGER' THEN toIntegerOrNull(n.«property»)
  WHEN 'FLOAT' THEN toFloatOrNull(n.«property»)
  WHEN 'BOOLEAN' THEN toBooleanOrNull(n.«property»)
  WHEN 'LIST<STRING>' THEN CASE WHEN valueType(n.«property») STARTS WITH 'LIST' THEN toStringList(n.«property») ELSE toStringList([n.«property»]) END
  ELSE toStringOrNull(n.«property»)
END AS new
WHERE new IS NOT NULL
SET n.«property» = new
RETURN count(n) AS converted
