// edits/undo: take one edit back in Browser, if the graph still is as the edit left it; `korvai undo` also says why not
// access: write
// param  id     STRING  of the edit
// return edit   STRING  what it was
// return undone BOOLEAN false: a later edit stands in the way, and nothing was changed
MATCH (e:Edit {id: $id})
WITH e, apoc.convert.fromJsonMap('{"old": ' + coalesce(e.old, 'null') + ', "new": ' + coalesce(e.new, 'null') + '}') AS v
OPTIONAL MATCH (e)-[:ON]->(n)
OPTIONAL MATCH (m)
WHERE e.relation IS NOT NULL AND e.other_type IN labels(m) AND e.other_key IN [m.name, m.sha256, m.key, m.id]
WITH e, v, n, head(collect(m)) AS m
WITH e, v, n, m, [(n)-[r]->(x) WHERE x = m AND type(r) = e.relation | r] AS ties
WITH e, v, n, m, ties, CASE
       WHEN e.kind = 'delete_node' THEN n IS NULL AND NOT EXISTS { MATCH (x) WHERE e.target_type IN labels(x) AND x.name = e.target_key }
       WHEN n IS NULL OR e.count IS NOT NULL THEN false
       WHEN e.kind = 'create_node' THEN NOT EXISTS { (n)-[r]-() WHERE type(r) <> 'ON' }
       WHEN e.kind = 'create_relation' THEN size(ties) > 0
       WHEN e.kind = 'delete_relation' THEN size(ties) = 0 AND m IS NOT NULL
       WHEN e.kind = 'add_label' THEN e.key IN labels(n)
       WHEN e.kind = 'remove_label' THEN NOT e.key IN labels(n)
       WHEN e.relation IS NOT NULL THEN size(ties) > 0 AND (ties[0][e.key] = v.new OR (ties[0][e.key] IS NULL AND v.new IS NULL))
       ELSE n[e.key] = v.new OR (n[e.key] IS NULL AND v.new IS NULL) END AS possible
WITH e, v, n, m, ties, coalesce(possible, false) AS possible, e.kind + ' ' + e.target_type + ' ' + e.target_key + coalesce(' ' + e.key, '') + coalesce(' ' + e.relation, '') AS edit
FOREACH (x IN CASE WHEN possible AND e.kind = 'delete_node' THEN [1] ELSE [] END |
  CREATE (new:$(v.old.labels)) SET new = v.old.properties CREATE (e)-[:ON]->(new))
FOREACH (x IN CASE WHEN possible AND e.kind = 'create_node' THEN [n] ELSE [] END | DETACH DELETE x)
FOREACH (r IN CASE WHEN possible AND e.kind = 'create_relation' THEN [ties[0]] ELSE [] END | DELETE r)
FOREACH (x IN CASE WHEN possible AND e.kind = 'delete_relation' THEN [n] ELSE [] END |
  CREATE (x)-[new:$(e.relation)]->(m) SET new = v.old)
FOREACH (x IN CASE WHEN possible AND e.kind = 'add_label' THEN [n] ELSE [] END | REMOVE x:$(e.key))
FOREACH (x IN CASE WHEN possible AND e.kind = 'remove_label' THEN [n] ELSE [] END | SET x:$(e.key))
FOREACH (x IN CASE WHEN possible AND e.kind ENDS WITH 'property' AND e.relation IS NULL THEN [n] ELSE [] END | SET x[e.key] = v.old)
FOREACH (r IN CASE WHEN possible AND e.kind ENDS WITH 'property' AND e.relation IS NOT NULL THEN [ties[0]] ELSE [] END | SET r[e.key] = v.old)
RETURN edit, possible AS undone
