// export/overlay_relations: one page of the relations of a type of Korvai's own overlay, both ends by label and key
// access: read
// slot   type         relation
// param  keys         MAP          label -> its key property, for all labels that are exported
// param  after        INTEGER      last id of the page before; -1 for the first
// param  page_rows    INTEGER      relations a page
// return id           INTEGER      internal id, good within one export only
// return source_label STRING       null where the end is not exported
// return source_key   ANY
// return target_label STRING
// return target_key   ANY
// return properties   MAP
MATCH (source)-[r:«type»]->(target) WHERE id(r) > $after
WITH r, source, target ORDER BY id(r) LIMIT $page_rows
WITH r, source, target,
     head([label IN labels(source) WHERE $keys[label] IS NOT NULL]) AS source_label,
     head([label IN labels(target) WHERE $keys[label] IS NOT NULL]) AS target_label
RETURN id(r) AS id, source_label, source[$keys[source_label]] AS source_key,
       target_label, target[$keys[target_label]] AS target_key, properties(r) AS properties
ORDER BY id
