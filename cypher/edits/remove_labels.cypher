// edits/remove_labels: take labels off nodes that have them
// access: write
// slot   target     node_type label of the nodes
// slot   target_key property  their key
// param  rows       LIST<MAP> {id, target_key, key}; key is the label
// return id         STRING    the edit's id, where the label was removed
UNWIND $rows AS row
MATCH (n:«target» {«target_key»: row.target_key})
REMOVE n.`korvai lock`
WITH row, n WHERE row.key IN labels(n)
REMOVE n:$(row.key)
RETURN row.id AS id
