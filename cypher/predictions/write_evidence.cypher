// predictions/write_evidence: evidence relations from proposals to nodes of one label
// access: write
// slot   node     node_type label of the nodes
// slot   node_key property  their key
// param  evidence LIST<MAP> id of the prediction, key, relation, rank, weight
// return written  INTEGER   relations written
UNWIND $evidence AS row
MATCH (p:Prediction {id: row.id})
MATCH (n:«node» {«node_key»: row.key})
MERGE (p)-[v:EVIDENCE {relation: row.relation, rank: row.rank}]->(n)
SET v.weight = row.weight, v.key = row.key
RETURN count(v) AS written
