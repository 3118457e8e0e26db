// edits/list: edits, latest first, by who, since when, about what, of which batch
// access: read
// param  who    STRING   by whom; '' is everybody, default ''
// param  since  STRING   not before this time, such as 2026-01-31T08:00Z; '' is always, default ''
// param  target STRING   key of a node that was edited or (un)linked; '' is any, default ''
// param  batch  STRING   id of a batch; '' is any, default ''
// param  limit  INTEGER  1..100000, default 20
// return id     STRING   takes one back: korvai undo ID
// return at     DATETIME when
// return who    STRING   by whom; unknown where raw Cypher did not say
// return kind   STRING   what was done
// return on     STRING   the node's label and key
// return change STRING   the property or relation, old and new value
// return reason STRING   why
// return batch  STRING   takes all of it back: korvai undo --batch ID
// return through STRING  korvai or cypher
// return undone BOOLEAN  whether it was taken back
MATCH (e:Edit)
WHERE ($who = '' OR e.who = $who) AND ($batch = '' OR e.batch = $batch)
  AND ($target = '' OR e.target_key = $target OR e.other_key = $target)
  AND ($since = '' OR e.at >= datetime($since))
WITH e ORDER BY e.at DESC, e.id LIMIT $limit
RETURN e.id AS id, e.at AS at, e.who AS who, e.kind AS kind, e.target_type + ' ' + coalesce(e.target_key, '?') AS on,
       CASE WHEN e.relation IS NOT NULL
            THEN '-[' + e.relation + ']-> ' + coalesce(e.other_type, '') + ' ' + coalesce(e.other_key, '?')
            ELSE '' END +
       CASE WHEN e.key IS NOT NULL
            THEN e.key + ': ' + left(coalesce(e.old, '-'), 200) + ' => ' + left(coalesce(e.new, '-'), 200)
            ELSE '' END AS change,
       e.reason AS reason, e.batch AS batch, e.through AS through,
       EXISTS { (u:Edit)-[:UNDOES]->(e) WHERE NOT EXISTS { (:Edit)-[:UNDOES]->(u) } } AS undone
ORDER BY at DESC, id
