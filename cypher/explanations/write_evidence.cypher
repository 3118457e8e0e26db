// explanations/write_evidence: evidence relations from an explanation to nodes of one label
// access: write
// slot   node     node_type label of the nodes
// slot   node_key property  their key
// param  id       STRING    of the explanation
// param  evidence LIST<MAP> key, relation, rank, weight, says, and mask where one was learnt
// return written  INTEGER   relations written
MATCH (e:Explanation {id: $id})
UNWIND $evidence AS row
MATCH (n:«node» {«node_key»: row.key})
MERGE (e)-[v:EVIDENCE {relation: row.relation, rank: row.rank}]->(n)
SET v.weight = row.weight, v.says = row.says, v.key = row.key, v.mask = row.mask
RETURN count(v) AS written
