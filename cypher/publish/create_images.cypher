// publish/create_images: bare images with their items, for benchmarks
// access: write
// slot   item     node_type
// slot   item_key property
// param  rows     LIST<MAP> {id: sha256, item: key of the item, year}
// return created  INTEGER
UNWIND $rows AS row
CREATE (item:«item»)-[:HAS_IMAGE]->(i:Image {sha256: row.id})
SET item.«item_key» = row.item, item.year = row.year
RETURN count(i) AS created
