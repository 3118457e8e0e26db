// pull/images: the images of some items as columns
// access: read
// param  ids    LIST<INTEGER>   internal ids of the items
// return items  LIST<INTEGER>   internal ids of the items
// return images LIST<LIST<ANY>> sha256, uri, width, height, split of each pair's image, null where unknown
UNWIND $ids AS id
MATCH (item)-[:HAS_IMAGE]->(image:Image) WHERE id(item) = id
RETURN collect(id) AS items, collect([image.sha256, image.uri, image.width, image.height, image.split]) AS images
