// hierarchy/list_parents: who stands under whom in one hierarchy
// access: read
// param  facet  STRING       which hierarchy
// param  labels LIST<STRING> labels of the domain and Concept
// param  keys   LIST<STRING> properties that are keys, one a label
// return child_label  STRING
// return child        STRING key
// return parent_label STRING
// return parent       STRING key
MATCH (child)-[:BROADER {facet: $facet}]->(parent)
UNWIND range(0, size($labels) - 1) AS i
UNWIND range(0, size($labels) - 1) AS j
WITH child, parent, i, j WHERE $labels[i] IN labels(child) AND $labels[j] IN labels(parent)
RETURN $labels[i] AS child_label, child[$keys[i]] AS child, $labels[j] AS parent_label, parent[$keys[j]] AS parent
ORDER BY child_label, child, parent_label, parent
