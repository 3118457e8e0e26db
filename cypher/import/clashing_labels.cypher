// import/clashing_labels: which labels of a domain were imported for another domain
// access: read
// param  domain  STRING
// param  labels  LIST<STRING>
// return domain  STRING         the other domain
// return labels  LIST<STRING>
MATCH (b:Batch) WHERE b.domain <> $domain AND b.state <> 'undone'
UNWIND [label IN b.labels WHERE label IN $labels] AS label
WITH b.domain AS domain, collect(DISTINCT label) AS labels
RETURN domain, labels
