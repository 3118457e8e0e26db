// import/mark_classes: give the nodes of a class label the second label Class
// access: write
// slot   label  node_type
// return marked INTEGER   nodes that did not have it
MATCH (n:«label») WHERE NOT n:Class
SET n:Class
RETURN count(n) AS marked
