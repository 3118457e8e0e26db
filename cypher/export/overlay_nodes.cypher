// export/overlay_nodes: one page of the nodes of a label of Korvai's own overlay, in id order
// access: read
// slot   label      node_type
// param  after      INTEGER      last id of the page before; -1 for the first
// param  page_rows  INTEGER      nodes a page
// return id         INTEGER      internal id, good within one export only
// return properties MAP          all of them
MATCH (n:«label») WHERE id(n) > $after
RETURN id(n) AS id, properties(n) AS properties
ORDER BY id LIMIT $page_rows
