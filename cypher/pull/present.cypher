// pull/present: which labels and relationship types are in use, and how much is there altogether?
// access: read
// return labels        LIST<STRING>
// return types         LIST<STRING>
// return nodes         INTEGER      all nodes, from the server's own count
// return relationships INTEGER      all relationships, from the server's own count
CALL () { CALL db.labels() YIELD label RETURN collect(label) AS labels }
CALL () { CALL db.relationshipTypes() YIELD relationshipType RETURN collect(relationshipType) AS types }
CALL () { MATCH (n) RETURN count(n) AS nodes }
CALL () { MATCH ()-[r]->() RETURN count(r) AS relationships }
RETURN labels, types, nodes, relationships
