// changes/capture: write one Edit for each change of the domains' graph in a transaction that is about to commit
// access: write
// param  change  MAP          APOC's parameters of a trigger: createdNodes, removedLabels …; one map, so that this is planned once
// param  who     STRING       the user
// param  keys    MAP          label of a domain -> its key property
// param  ends    MAP          the same, and labels that only the end of a relation may have
// param  overlay LIST<STRING> labels of Korvai's own that are not recorded
// param  limit   INTEGER      above it, changes of one kind become one Edit with a count
// return edits   INTEGER      edits written
// Of what is deleted only ids are left, and the old labels and properties in separate lists.
WITH apoc.map.fromPairs([n IN $change.deletedNodes | [toString(id(n)), true]]) AS dead,
     apoc.map.fromPairs([n IN $change.createdNodes | [toString(id(n)), true]]) AS born,
     apoc.map.fromPairs([r IN $change.createdRelationships | [toString(id(r)), true]]) AS tied,
     apoc.map.fromPairs([r IN $change.deletedRelationships | [toString(id(r)), true]]) AS cut,
     apoc.coll.flatten([k IN keys($change.removedNodeProperties) WHERE NOT k STARTS WITH 'embedding_' | [e IN $change.removedNodeProperties[k] | {id: toString(id(e.node)), node: e.node, pair: [k, e.old]}]]) AS lost,
     apoc.coll.flatten([l IN keys($change.removedLabels) WHERE NOT l IN $overlay OR $ends[l] IS NOT NULL | [n IN $change.removedLabels[l] | {id: toString(id(n)), node: n, label: l}]]) AS bared,
     apoc.coll.flatten([k IN keys($change.removedRelationshipProperties) | [e IN $change.removedRelationshipProperties[k] | {id: toString(id(e.relationship)), relation: e.relationship, pair: [k, e.old]}]]) AS dropped
WITH *, apoc.map.groupByMulti([x IN lost WHERE dead[x.id]], 'id') AS had, apoc.map.groupByMulti([x IN bared WHERE dead[x.id]], 'id') AS was,
     apoc.map.groupByMulti([x IN dropped WHERE cut[x.id]], 'id') AS carried
WITH *, apoc.map.fromPairs([x IN bared WHERE dead[x.id] AND $ends[x.label] IS NOT NULL |
       [x.id, {type: x.label, key: head([y IN coalesce(had[x.id], []) WHERE y.pair[0] = $ends[x.label] | y.pair[1]])}]]) AS buried
WITH *, apoc.coll.flatten([
  [n IN $change.createdNodes | {kind: 'create_node', node: n,
    new: {labels: [l IN labels(n) WHERE NOT l IN $overlay], pairs: [k IN keys(n) WHERE NOT k STARTS WITH 'embedding_' | [k, n[k]]]}}],
  [id IN keys(buried) WHERE $keys[buried[id].type] IS NOT NULL | {kind: 'delete_node', gone: buried[id],
    old: {labels: [x IN was[id] WHERE NOT x.label IN $overlay | x.label], pairs: [x IN coalesce(had[id], []) | x.pair]}}],
  apoc.coll.flatten([k IN keys($change.assignedNodeProperties) WHERE NOT k STARTS WITH 'embedding_' |
    [e IN $change.assignedNodeProperties[k] WHERE born[toString(id(e.node))] IS NULL AND (e.old IS NULL OR e.old <> e.new) |
      {kind: 'set_property', key: k, node: e.node, old: CASE WHEN e.old IS NOT NULL THEN {pairs: [[null, e.old]]} END, new: {pairs: [[null, e.new]]}}]]),
  [x IN lost WHERE dead[x.id] IS NULL | {kind: 'remove_property', key: x.pair[0], node: x.node, old: {pairs: [[null, x.pair[1]]]}}],
  apoc.coll.flatten([l IN keys($change.assignedLabels) WHERE NOT l IN $overlay |
    [n IN $change.assignedLabels[l] WHERE born[toString(id(n))] IS NULL | {kind: 'add_label', key: l, node: n}]]),
  [x IN bared WHERE dead[x.id] IS NULL AND NOT x.label IN $overlay | {kind: 'remove_label', key: x.label, node: x.node}],
  [r IN $change.createdRelationships | {kind: 'create_relation', relation: r, new: {pairs: [k IN keys(r) | [k, r[k]]]}}],
  [r IN $change.deletedRelationships | {kind: 'delete_relation', relation: r, old: {pairs: [x IN coalesce(carried[toString(id(r))], []) | x.pair]}}],
  apoc.coll.flatten([k IN keys($change.assignedRelationshipProperties) |
    [e IN $change.assignedRelationshipProperties[k] WHERE tied[toString(id(e.relationship))] IS NULL AND (e.old IS NULL OR e.old <> e.new) |
      {kind: 'set_property', key: k, relation: e.relationship, old: CASE WHEN e.old IS NOT NULL THEN {pairs: [[null, e.old]]} END, new: {pairs: [[null, e.new]]}}]]),
  [x IN dropped WHERE cut[x.id] IS NULL | {kind: 'remove_property', key: x.pair[0], relation: x.relation, old: {pairs: [[null, x.pair[1]]]}}]
]) AS found
UNWIND found AS row
WITH row, dead, buried, CASE WHEN row.relation IS NULL THEN row.node ELSE startNode(row.relation) END AS n,
     CASE WHEN row.relation IS NOT NULL THEN endNode(row.relation) END AS m
WITH row, n, m, coalesce(row.gone, CASE WHEN dead[toString(id(n))] THEN coalesce(buried[toString(id(n))], {}) END) AS n_gone,
     CASE WHEN dead[toString(id(m))] THEN coalesce(buried[toString(id(m))], {}) END AS m_gone
WITH row, n, m, n_gone, m_gone, CASE WHEN n_gone IS NOT NULL THEN n_gone.type WHEN $keys[row.key] IS NOT NULL AND row.kind ENDS WITH 'label' THEN row.key
     ELSE head([l IN labels(n) WHERE $keys[l] IS NOT NULL]) END AS type,
     CASE WHEN m_gone IS NOT NULL THEN m_gone.type WHEN m IS NOT NULL THEN head([l IN labels(m) WHERE $ends[l] IS NOT NULL]) END AS other_type
WHERE $keys[type] IS NOT NULL AND (row.relation IS NULL OR other_type IS NOT NULL)
WITH collect({kind: row.kind, property: row.key, old: row.old, new: row.new, node: CASE WHEN n_gone IS NULL THEN n END,
       type: type, key: CASE WHEN n_gone IS NULL THEN n[$keys[type]] ELSE n_gone.key END, relation: type(row.relation),
       other_type: other_type, other_key: CASE WHEN m_gone IS NULL THEN m[$ends[other_type]] ELSE m_gone.key END}) AS rows
WHERE size(rows) > 0
WITH rows, timestamp() * 1000 + toInteger(rand() * 1000) AS tx, datetime() AS at
UNWIND CASE WHEN size(rows) <= $limit THEN rows ELSE [group IN apoc.coll.frequencies([row IN rows | row {.kind, .property, .type, .relation, .other_type}])
       | apoc.map.setKey(group.item, 'count', group.count)] END AS row
// What JSON has no word for is written {"$DATE": "1590-01-01"}, {"$FLOAT": "NaN"} and so on.
WITH row, tx, at, [side IN [row.old, row.new] | CASE WHEN side IS NOT NULL THEN {labels: side.labels, pairs:
       [pair IN side.pairs | [pair[0], CASE
          WHEN valueType(pair[1]) IN ['STRING NOT NULL', 'INTEGER NOT NULL', 'BOOLEAN NOT NULL'] THEN pair[1]
          WHEN valueType(pair[1]) STARTS WITH 'FLOAT' AND (isNaN(pair[1]) OR abs(pair[1]) = Infinity)
            THEN {`$FLOAT`: CASE WHEN isNaN(pair[1]) THEN 'nan' WHEN pair[1] > 0 THEN 'inf' ELSE '-inf' END}
          WHEN valueType(pair[1]) =~ '(STRING|INTEGER|FLOAT|BOOLEAN|LIST<(STRING|INTEGER|FLOAT|BOOLEAN|NOTHING)).*' THEN pair[1]
          WHEN valueType(pair[1]) STARTS WITH 'DATE ' THEN {`$DATE`: toString(pair[1])}
          WHEN valueType(pair[1]) =~ '(LOCAL|ZONED) DATETIME .*' THEN {`$DATETIME`: toString(pair[1])}
          WHEN valueType(pair[1]) =~ '(LOCAL|ZONED) TIME .*' THEN {`$TIME`: toString(pair[1])}
          ELSE {`$OTHER`: apoc.convert.toJson(pair[1])} END]]} END] AS sides
WITH row, tx, at, [side IN sides | CASE
       WHEN side IS NULL THEN null
       WHEN row.kind ENDS WITH 'property' THEN apoc.convert.toJson(side.pairs[0][1])
       WHEN row.kind ENDS WITH 'node' THEN apoc.convert.toJson({labels: side.labels, properties: apoc.map.fromPairs(side.pairs)})
       ELSE apoc.convert.toJson(apoc.map.fromPairs(side.pairs)) END] AS texts
CREATE (e:Edit)
SET e = {id: substring(replace(randomUUID(), '-', ''), 0, 16), at: at, who: $who, reason: '', batch: 'tx-' + tx, kind: row.kind,
         key: row.property, old: texts[0], new: texts[1], tx: tx, through: 'cypher', count: row.count, target_type: row.type,
         target_key: toStringOrNull(row.key), relation: row.relation, other_type: row.other_type, other_key: toStringOrNull(row.other_key)}
FOREACH (target IN CASE WHEN row.node IS NULL THEN [] ELSE [row.node] END | CREATE (e)-[:ON]->(target))
RETURN count(e) AS edits
