// pull/image_page: one page of items and their images as columns, in id order of HAS_IMAGE
// access: read
// slot   item      node_type       label of the nodes that carry images
// param  after     INTEGER         last id of the page before; -1 for the first
// param  page_rows INTEGER         pairs a page
// return items     LIST<INTEGER>   internal ids of the items
// return images    LIST<LIST<ANY>> sha256, uri, width, height, split of each pair's image, null where unknown
// return count     INTEGER         pairs on this page; 0 after the last
// return last      INTEGER         highest id of the page
MATCH (item:«item»)-[r:HAS_IMAGE]->(image:Image) WHERE id(r) > $after
WITH item, r, image ORDER BY r LIMIT $page_rows
RETURN collect(id(item)) AS items,
       collect([image.sha256, image.uri, image.width, image.height, image.split]) AS images,
       count(r) AS count, max(id(r)) AS last
