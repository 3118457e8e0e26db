// edits/record: write edits and hang each on its node, while that exists
// access: write
// slot   target     node_type label of the edited nodes
// slot   target_key property  their key
// param  rows       LIST<MAP> {properties, target_key, undoes}; undoes is the id of the edit taken back, or null
// return recorded   INTEGER   how many
UNWIND $rows AS row
CREATE (e:Edit)
SET e = row.properties
WITH row, e
OPTIONAL MATCH (n:«target» {«target_key»: row.target_key})
FOREACH (node IN CASE WHEN n IS NULL THEN [] ELSE [n] END | CREATE (e)-[:ON]->(node))
WITH row, e
OPTIONAL MATCH (undone:Edit {id: row.undoes})
FOREACH (edit IN CASE WHEN undone IS NULL THEN [] ELSE [undone] END | CREATE (e)-[:UNDOES]->(edit))
RETURN count(*) AS recorded
