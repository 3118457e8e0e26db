// publish/copy_vectors: the same vectors under another property, for benchmarks of two indexes
// access: write
// slot   property property
// slot   copy     property
MATCH (x:ImageVector)
WHERE x.«property» IS NOT NULL
CALL (x) {
  SET x.«copy» = x.«property»
} IN TRANSACTIONS OF 2000 ROWS
