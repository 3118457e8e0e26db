// changes/count_edits: how many edits are recorded, and when was the last?
// access: read
// return edits INTEGER
// return last  DATETIME
MATCH (e:Edit)
RETURN count(e) AS edits, max(e.at) AS last
