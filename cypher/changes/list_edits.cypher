// changes/list_edits: the recorded edits of some labels, latest first
// access: read
// param  labels LIST<STRING>  of the nodes that were edited, or from which a relation goes
// param  since  DATETIME      no edits before it
// param  limit  INTEGER       1..1000000
// return edit   MAP           the Edit node's properties
MATCH (e:Edit) WHERE e.at >= $since AND e.target_type IN $labels
WITH e ORDER BY e.at DESC, e.tx DESC, e.id LIMIT $limit
RETURN properties(e) AS edit
