// import/curated: the recorded edits of a domain that an import must not undo: those in effect, oldest first
// access: read
// param  labels      LIST<STRING>   the domain's labels
// return kind        STRING         create_node, set_property, remove_property, create_relation, delete_relation
// return key         STRING         the property; null for others
// return new         STRING         of create_node: JSON of labels and properties
// return target_type STRING         label of the edited node, or of the relation's source
// return target_key  STRING
// return relation    STRING         null for an edit of a node
// return other_type  STRING         label of the relation's target
// return other_key   STRING
// return who         STRING
// return at          DATETIME
// return reason      STRING
// An edit that took another back is none of its own, nor is a relation's end when its node was deleted with it.
MATCH (e:Edit)
WHERE e.target_type IN $labels AND e.target_key IS NOT NULL AND e.count IS NULL
  AND e.kind IN ['create_node', 'set_property', 'remove_property', 'create_relation', 'delete_relation']
  AND NOT EXISTS { (e)-[:UNDOES]->() }
  AND NOT EXISTS { (u:Edit)-[:UNDOES]->(e) WHERE NOT EXISTS { (:Edit)-[:UNDOES]->(u) } }
  AND NOT (e.kind = 'delete_relation' AND EXISTS {
    MATCH (d:Edit {batch: e.batch})
    WHERE d.kind = 'delete_node' AND ((d.target_type = e.target_type AND d.target_key = e.target_key)
       OR (d.target_type = e.other_type AND d.target_key = e.other_key)) })
RETURN e.kind AS kind, e.key AS key, CASE e.kind WHEN 'create_node' THEN e.new END AS new,
       e.target_type AS target_type, e.target_key AS target_key, e.relation AS relation,
       e.other_type AS other_type, e.other_key AS other_key, e.who AS who, e.at AS at, e.reason AS reason
ORDER BY e.at, e.id
