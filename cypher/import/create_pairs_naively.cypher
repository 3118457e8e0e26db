// import/create_pairs_naively: relations from pairs of keys, as one would write it first; only benchmarks/loading.py runs it
// access: write
// slot   source     node_type
// slot   source_key property
// slot   type       relation
// slot   target     node_type
// slot   target_key property
// param  pairs      LIST<LIST<STRING>>   [source key, target key]
// return created    INTEGER
UNWIND $pairs AS pair
MATCH (s:«source» {«source_key»: pair[0]})
MATCH (t:«target» {«target_key»: pair[1]})
CREATE (s)-[r:«type»]->(t)
RETURN count(r) AS created
