// edits/find: whole edits by id or by batch, with the edit that took each back
// access: read
// param  ids        LIST<STRING> ids of edits, default []
// param  batches    LIST<STRING> ids of batches, default []
// return properties MAP          of the edit's node
// return undone_by  STRING       id of the edit that took it back and stands; null while it is in effect
CALL () {
  UNWIND $ids AS id MATCH (e:Edit {id: id}) RETURN e
  UNION
  UNWIND $batches AS batch MATCH (e:Edit {batch: batch}) RETURN e
}
WITH e, [(u:Edit)-[:UNDOES]->(e) WHERE NOT EXISTS { (:Edit)-[:UNDOES]->(u) } | u.id] AS undone
RETURN properties(e) AS properties, undone[0] AS undone_by
