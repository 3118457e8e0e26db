// import/remove_lonely_nodes: remove those of these nodes that nothing hangs on any more
// access: write
// slot   label   node_type
// slot   key     property
// param  keys    LIST<STRING>
// return removed LIST<STRING>   keys of the nodes that are gone
UNWIND $keys AS key
MATCH (n:«label» {«key»: key}) WHERE NOT EXISTS { (n)--() }
WITH n, n.«key» AS gone
DELETE n
RETURN collect(gone) AS removed
