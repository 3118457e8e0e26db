// pull/images: the images of some items as columns
// access: read
// param  ids    LIST<INTEGER>   internal ids of the items
// return items  LIST<INTEGER>   internal ids of the items
// return images LIST<LIST<ANY>> lists of each pair's sha256, uri, width, height, split, null where unknown
UNWIND $ids AS id
MATCH (item)-[:HAS_IMAGE]->(image:Image) WHERE id(item) = id
WITH collect(id) AS items, collect(image) AS images
RETURN items, [name IN ['sha256', 'uri', 'width', 'height', 'split'] | [image IN images | image[name]]] AS images
