// validate/foreign_labels: nodes that also carry another label of this domain, of another one or of the overlay
// access: read
// slot   label    node_type
// slot   key      property
// param  label    STRING       the label once more, as a value
// param  labels   LIST<STRING> all labels that must not stand together
// param  most     INTEGER      1..1000, default 5; examples
// return place    STRING       the other label
// return count    INTEGER      nodes
// return examples LIST<MAP>    {key, labels: all labels of the node}
MATCH (n:«label»)
WHERE size(labels(n)) > 1
UNWIND [other IN labels(n) WHERE other <> $label AND other IN $labels] AS other
WITH other, count(n) AS count, collect({key: n.«key», labels: labels(n)})[..$most] AS examples
RETURN other AS place, count, examples
ORDER BY place
