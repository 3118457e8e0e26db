// validate/merge_keys: two nodes that mean the same become one: relations move, properties fill gaps, the other goes
// access: write
// slot   label node_type
// slot   key   property
// param  keep  STRING    key that stays
// param  drop  STRING    key that goes
// return moved INTEGER   relations moved
MATCH (keep:«label» {«key»: $keep}), (drop:«label» {«key»: $drop})
WITH keep, drop, properties(keep) AS old
CALL (keep, drop) {
  MATCH (drop)-[r]->(x)
  WHERE x <> keep AND NOT EXISTS { MATCH (keep)-[s]->(x) WHERE type(s) = type(r) }
  CREATE (keep)-[s:$(type(r))]->(x)
  SET s = properties(r)
  RETURN count(s) AS outward
}
CALL (keep, drop) {
  MATCH (x)-[r]->(drop)
  WHERE x <> keep AND NOT EXISTS { MATCH (x)-[s]->(keep) WHERE type(s) = type(r) }
  CREATE (x)-[s:$(type(r))]->(keep)
  SET s = properties(r)
  RETURN count(s) AS inward
}
SET keep += properties(drop)
SET keep += old
DETACH DELETE drop
RETURN outward + inward AS moved
