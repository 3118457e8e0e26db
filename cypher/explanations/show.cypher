// explanations/show: draws an explanation: the image, the class, the evidence, and how the class is tied to the evidence
// access: read
// param  id          STRING of the explanation
// return explanation PATH   from the explanation to image, class or evidence
// return tie         PATH   the relation of the class that the evidence stands for, null where there is none
MATCH explanation = (e:Explanation {id: $id})-[v:EXPLAINS|FOR|EVIDENCE]->(n)
OPTIONAL MATCH (e)-[:FOR]->(c), tie = (c)-[r]-(n)
WHERE type(v) = 'EVIDENCE' AND type(r) = v.relation
RETURN explanation, tie
ORDER BY coalesce(v.rank, 0)
