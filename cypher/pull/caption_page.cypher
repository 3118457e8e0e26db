// pull/caption_page: one page of the images' captions as columns, in id order of HAS_CAPTION
// access: read
// param  after     INTEGER         last id of the page before; -1 for the first
// param  page_rows INTEGER         relationships a page
// return captions  LIST<LIST<ANY>> the image's sha256, the text, who wrote it
// return count     INTEGER         relationships on this page; 0 after the last
// return last      INTEGER         highest id of the page
MATCH (image)-[r:HAS_CAPTION]->(caption) WHERE id(r) > $after
WITH image, r, caption ORDER BY r LIMIT $page_rows
RETURN collect([image.sha256, caption.text, coalesce(caption.source, '')]) AS captions,
       count(r) AS count, max(id(r)) AS last
