// pull/meetings_in: which relations of one type lead to some nodes from a chosen few, looked for from the few
// access: read
// slot   type     relation
// param  question MAP           number, to know its answer by; ids, the end nodes, which may have very many; few, the start nodes
// return number   INTEGER       the question's
// return near     LIST<INTEGER> end nodes, one a relation
// return far      LIST<INTEGER> start nodes
UNWIND $question.few AS id
MATCH (m)-[:«type»]->(n) WHERE id(m) = id
WITH id(n) AS near, id WHERE near IN $question.ids
RETURN $question.number AS number, collect(near) AS near, collect(id) AS far
