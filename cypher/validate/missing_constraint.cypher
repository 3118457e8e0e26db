// validate/missing_constraint: which keys are kept unique by a constraint
// access: read
// return label STRING
// return key   STRING
SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties
WHERE type = 'UNIQUENESS' AND size(properties) = 1
RETURN labelsOrTypes[0] AS label, properties[0] AS key
