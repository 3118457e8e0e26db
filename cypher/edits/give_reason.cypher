// edits/give_reason: say why (and who) for edits that were typed as raw Cypher
// access: write
// param  batch  STRING  of the edits: tx-… for raw Cypher; edits/list shows it
// param  reason STRING  why
// param  who    STRING  who; '' leaves what the server knows, default ''
// return edits  INTEGER how many
MATCH (e:Edit {batch: $batch})
SET e.reason = $reason, e.who = CASE $who WHEN '' THEN e.who ELSE $who END
RETURN count(e) AS edits
