// pull/node_fingerprints: has the set of any label's nodes changed?
// access: read
// param  labels LIST<STRING> labels to look at
// return name   STRING       a label that has nodes
// return count  INTEGER      its nodes
// return check  INTEGER      sum of their internal ids
MATCH (n)
UNWIND labels(n) AS name
WITH name, n WHERE name IN $labels
RETURN name, count(n) AS count, sum(id(n)) AS check
