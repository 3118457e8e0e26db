// import/write_nodes: make nodes by key where they are missing, and set the given properties on them
// access: write
// slot   label   node_type
// slot   key     property
// param  rows    LIST<MAP>       {key, properties}; a property that is not named keeps its value, null removes it
// return keys    LIST<STRING>
// return ids     LIST<INTEGER>   internal ids in the order of keys, good while the import's lease is held
UNWIND $rows AS row
MERGE (n:«label» {«key»: row.key})
SET n += row.properties
RETURN collect(row.key) AS keys, collect(id(n)) AS ids
