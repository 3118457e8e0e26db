// explanations/remove_evidence: takes all evidence from an explanation, before it gets other
// access: write
// param  id      STRING  of the explanation
// return removed INTEGER relations removed
MATCH (:Explanation {id: $id})-[v:EVIDENCE]->()
DELETE v
RETURN count(v) AS removed
