// validate/image_files: one page of the images of a domain's items as columns, in order of their content hash
// access: read
// slot   item      node_type
// param  after     STRING       last hash of the page before; empty for the first
// param  page_rows INTEGER      images a page
// return hashes    LIST<STRING> sha256
// return uris      LIST<STRING> paths relative to the store, empty where there is none
MATCH (i:Image)
WHERE i.sha256 > $after AND EXISTS { (i)<-[:HAS_IMAGE]-(:«item») }
WITH i ORDER BY i.sha256 LIMIT $page_rows
RETURN collect(i.sha256) AS hashes, collect(coalesce(i.uri, '')) AS uris
