// changes/watch: what the trigger runs before a transaction commits: changes/capture, unless Korvai itself is at work
// access: schema
// It writes; the server calls it a schema statement because it asks who the user is.
// param  metaData                       MAP                of the transaction; Korvai's own say korvai: true
// param  createdNodes                   LIST<NODE>
// param  deletedNodes                   LIST<NODE>
// param  createdRelationships           LIST<RELATIONSHIP>
// param  deletedRelationships           LIST<RELATIONSHIP>
// param  assignedLabels                 MAP                label -> nodes
// param  removedLabels                  MAP                label -> nodes
// param  assignedNodeProperties         MAP                property -> [{node, old, new}]
// param  removedNodeProperties          MAP                property -> [{node, old}]
// param  assignedRelationshipProperties MAP                property -> [{relationship, old, new}]
// param  removedRelationshipProperties  MAP                property -> [{relationship, old}]
// param  capture                        STRING             text of changes/capture
// param  values                         MAP                its parameters keys, ends, overlay, limit; unrecorded: Korvai's statements to record all the same
// return edits INTEGER edits written
WITH $metaData AS meta
WHERE (NOT coalesce(meta.korvai, false) OR meta.statement IN $values.unrecorded) AND NOT coalesce(meta['apoc.trigger'], false)
CALL dbms.showCurrentUser() YIELD username
CALL apoc.cypher.doIt($capture, apoc.map.merge($values, {who: username, change: {
  createdNodes: $createdNodes, deletedNodes: $deletedNodes, createdRelationships: $createdRelationships,
  deletedRelationships: $deletedRelationships, assignedLabels: $assignedLabels, removedLabels: $removedLabels, assignedNodeProperties: $assignedNodeProperties,
  removedNodeProperties: $removedNodeProperties,
  assignedRelationshipProperties: $assignedRelationshipProperties, removedRelationshipProperties: $removedRelationshipProperties}})) YIELD value
RETURN value.edits AS edits
