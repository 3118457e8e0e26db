// pull/relation_count: how many relations of one type there are, from the server's own count
// access: read
// slot   type  relation
// return count INTEGER
MATCH ()-[r:«type»]->() RETURN count(r) AS count
