// validate/convert_relation_property: turn all values of a relation's property into its declared type, where that is possible
// access: write
// slot   type      relation
// slot   property  property
// param  declared  STRING  STRING, INTEGER, FLOAT or BOOLEAN
// return converted INTEGER relations
MATCH ()-[r:«type»]->()
WHERE r.«property» IS NOT NULL AND NOT valueType(r.«property») = $declared + ' NOT NULL'
WITH r, CASE $declared
  WHEN 'INTEGER' THEN toIntegerOrNull(r.«property»)
  WHEN 'FLOAT' THEN toFloatOrNull(r.«property»)
  WHEN 'BOOLEAN' THEN toBooleanOrNull(r.«property»)
  ELSE toStringOrNull(r.«property»)
END AS new
WHERE new IS NOT NULL
SET r.«property» = new
RETURN count(r) AS converted
