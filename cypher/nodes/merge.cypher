// nodes/merge: make one node of two duplicates; relations and missing properties move to the one that stays
// access: write
// slot   node     node_type label of both
// slot   node_key property  their key
// param  keep      STRING   key of the one that stays
// param  duplicate STRING   key of the one that goes
// return kept      STRING   key of the one that stays
// return relations INTEGER  how many moved
// return filled    INTEGER  how many properties it got
MATCH (k:«node» {«node_key»: $keep}), (d:«node» {«node_key»: $duplicate})
WHERE k <> d
CALL (k, d) {
  MATCH (d)-[r]->(m)
  WHERE m <> k AND NOT m:Edit AND NOT EXISTS { MATCH (k)-[same]->(m) WHERE type(same) = type(r) }
  CREATE (k)-[new:$(type(r))]->(m)
  SET new = properties(r)
  RETURN count(new) AS outgoing
}
CALL (k, d) {
  MATCH (m)-[r]->(d)
  WHERE m <> k AND NOT m:Edit AND NOT EXISTS { MATCH (m)-[same]->(k) WHERE type(same) = type(r) }
  CREATE (m)-[new:$(type(r))]->(k)
  SET new = properties(r)
  RETURN count(new) AS incoming
}
CALL (k, d) {
  UNWIND [name IN keys(d) WHERE NOT name STARTS WITH 'embedding_'] AS name
  WITH k, d, name
  WHERE k[name] IS NULL OR (valueType(k[name]) STARTS WITH 'LIST' AND any(part IN d[name] WHERE NOT part IN k[name]))
  SET k[name] = CASE WHEN k[name] IS NULL THEN d[name] ELSE k[name] + [part IN d[name] WHERE NOT part IN k[name]] END
  RETURN count(name) AS filled
}
DETACH DELETE d
RETURN k.«node_key» AS kept, outgoing + incoming AS relations, filled
