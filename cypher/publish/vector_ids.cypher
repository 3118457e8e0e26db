// publish/vector_ids: one page of the images that have a version's vector, in order of their content hash
// access: read
// slot   property  property     property of ImageVector nodes that holds the version's vectors
// param  after     STRING       last hash of the page before; empty for the first
// param  page_rows INTEGER      images a page
// return image_ids LIST<STRING> sha256
MATCH (x:ImageVector)
WHERE x.sha256 > $after AND x.«property» IS NOT NULL
WITH x ORDER BY x.sha256 LIMIT $page_rows
RETURN collect(x.sha256) AS image_ids
