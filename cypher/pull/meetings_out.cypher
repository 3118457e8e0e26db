// pull/meetings_out: which relations of one type lead from some nodes to a chosen few, looked for from the few
// access: read
// slot   type     relation
// param  question MAP           number, to know its answer by; ids, the start nodes, which may have very many; few, the end nodes
// return number   INTEGER       the question's
// return near     LIST<INTEGER> start nodes, one a relation
// return far      LIST<INTEGER> end nodes
UNWIND $question.few AS id
MATCH (n)-[:«type»]->(m) WHERE id(m) = id
WITH id(n) AS near, id WHERE near IN $question.ids
RETURN $question.number AS number, collect(near) AS near, collect(id) AS far
