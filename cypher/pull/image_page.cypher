// pull/image_page: one page of items and their images as columns, in id order of HAS_IMAGE
// access: read
// slot   item      node_type       label of the nodes that carry images
// param  after     INTEGER         last id of the page before; -1 for the first
// param  page_rows INTEGER         pairs a page
// return items     LIST<INTEGER>   internal ids of the items
// return images    LIST<LIST<ANY>> lists of each pair's sha256, uri, width, height, split, null where unknown
// return count     INTEGER         pairs on this page; 0 after the last
// return last      INTEGER         highest id of the page
MATCH (item:«item»)-[r:HAS_IMAGE]->(image:Image) WHERE id(r) > $after
WITH item, r, image ORDER BY r LIMIT $page_rows
WITH collect(id(item)) AS items, collect(image) AS images, max(id(r)) AS last
RETURN items, [name IN ['sha256', 'uri', 'width', 'height', 'split'] | [image IN images | image[name]]] AS images,
       size(items) AS count, last
