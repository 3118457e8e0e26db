// predictions/drift: how sure is a version of the newest items, and how sure was it of those before?
// access: read
// param  version STRING  model version
// param  newest  INTEGER 1..100000, default 200; how many count as new
// return new     INTEGER predictions
// return before  INTEGER predictions
// return new_score    FLOAT mean probability
// return before_score FLOAT mean probability
MATCH (:ModelVersion {id: $version})-[:PRODUCED]->(:EmbeddingSet)<-[:FROM]-(p:Prediction)
WITH p ORDER BY p.at DESC, p.id
WITH collect(p.score) AS scores
WITH scores[..$newest] AS new, scores[$newest..] AS before
RETURN size(new) AS new, size(before) AS before,
       CASE WHEN size(new) > 0 THEN reduce(s = 0.0, x IN new | s + x) / size(new) END AS new_score,
       CASE WHEN size(before) > 0 THEN reduce(s = 0.0, x IN before | s + x) / size(before) END AS before_score
