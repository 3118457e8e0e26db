// validate/remove_relation: remove one relation
// access: write
// slot   type    relation
// param  id      STRING   internal id, as the report tells it
// return removed INTEGER
MATCH ()-[r:«type»]->()
WHERE elementId(r) = $id
DELETE r
RETURN count(r) AS removed
