// validate/wrong_ends: relations of a type between labels that the domain does not declare for it
// access: read
// slot   type     relation
// param  labels   LIST<STRING>       labels of the domain; relations without any of them are not ours
// param  pairs    LIST<LIST<STRING>> [source label, target label] as declared
// param  most     INTEGER            1..1000, default 5; examples
// return place    STRING             the labels found, as (A)->(B)
// return count    INTEGER            relations
// return examples LIST<MAP>          {id: internal id, source, target: names or keys}
MATCH (a)-[r:«type»]->(b)
WHERE none(pair IN $pairs WHERE pair[0] IN labels(a) AND pair[1] IN labels(b))
  AND (any(label IN labels(a) WHERE label IN $labels) OR any(label IN labels(b) WHERE label IN $labels))
WITH '(' + reduce(t = '', l IN labels(a) | t + ':' + l) + ')->(' + reduce(t = '', l IN labels(b) | t + ':' + l) + ')' AS place,
     {id: elementId(r), source: coalesce(a.name, a.key, a.title), target: coalesce(b.name, b.key, b.title)} AS example
RETURN place, count(*) AS count, collect(example)[..$most] AS examples
ORDER BY count DESC, place
