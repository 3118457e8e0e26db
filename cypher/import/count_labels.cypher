// import/count_labels: nodes by label, most frequent first; nothing for an empty database
// access: read
// return label STRING
// return nodes INTEGER
MATCH (n)
UNWIND CASE WHEN size(labels(n)) = 0 THEN ['(no label)'] ELSE labels(n) END AS label
RETURN label, count(*) AS nodes
ORDER BY nodes DESC, label
