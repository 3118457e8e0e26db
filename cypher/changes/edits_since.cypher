// changes/edits_since: how many edits of some labels are there after a moment, and when was the last?
// access: read
// param  labels LIST<STRING> of the nodes that were edited, or from which a relation goes
// param  since  DATETIME     only edits after it
// return edits  INTEGER
// return last   DATETIME     null where there is none
MATCH (e:Edit) WHERE e.at > $since AND e.target_type IN $labels
RETURN count(e) AS edits, max(e.at) AS last
