// pull/neighbours_out: where the relations of one type lead that leave some nodes, whole lists of the small ones
// access: read
// slot   type       relation
// param  question   MAP                 number, to know its answer by; ids, the nodes; whole, how many are still listed
// return number     INTEGER             the question's
// return ids        LIST<INTEGER>       those of the nodes that are there
// return degrees    LIST<INTEGER>       relations of each
// return neighbours LIST<LIST<INTEGER>> internal ids of each one's end nodes, empty where there are too many
UNWIND $question.ids AS id
MATCH (n) WHERE id(n) = id
WITH id, n, COUNT { (n)-[:«type»]->() } AS degree
WITH id, degree, COLLECT { MATCH (n)-[:«type»]->(m) WHERE degree <= $question.whole RETURN id(m) } AS found
RETURN $question.number AS number, collect(id) AS ids, collect(degree) AS degrees, collect(found) AS neighbours
