// edits/later: edits that came after one and touched the same node or relation, latest first
// access: read
// param  id         STRING       the edit
// param  without    LIST<STRING> ids that do not count, default []
// return properties MAP          of the later edit's node
MATCH (e:Edit {id: $id})
MATCH (l:Edit)
WHERE l.at > e.at AND NOT l.id IN $without
  AND ((l.target_key = e.target_key AND l.target_type = e.target_type
        AND (e.key IS NULL OR l.key IS NULL OR l.key = e.key)
        AND (e.relation IS NULL OR l.relation IS NULL OR (l.relation = e.relation AND l.other_key = e.other_key)))
    OR (l.other_key = e.target_key AND l.other_type = e.target_type AND e.relation IS NULL AND e.key IS NULL)
    OR (l.kind = 'delete_node' AND l.target_key = e.other_key AND l.target_type = e.other_type)
    // the node now has another key
    OR (l.kind = 'set_property' AND EXISTS { (e)-[:ON]->()<-[:ON]-(l) } AND l.old = '"' + e.target_key + '"'))
RETURN properties(l) AS properties
ORDER BY l.at DESC
LIMIT 20
