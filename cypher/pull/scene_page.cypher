// pull/scene_page: one page of the objects that images show, as columns, in id order of DEPICTS
// access: read
// param  after      INTEGER            last id of the page before; -1 for the first
// param  page_rows  INTEGER            relationships a page
// return objects    LIST<LIST<ANY>>    the image's sha256, then id, name, x, y, w, h of the object
// return attributes LIST<LIST<STRING>> names of each object's attributes
// return count      INTEGER            relationships on this page; 0 after the last
// return last       INTEGER            highest id of the page
MATCH (image)-[r:DEPICTS]->(object) WHERE id(r) > $after
WITH image, r, object ORDER BY r LIMIT $page_rows
RETURN collect([image.sha256, object.id, object.name, object.x, object.y, object.w, object.h]) AS objects,
       collect([(object)-[:HAS_ATTRIBUTE]->(attribute) | coalesce(attribute.name, attribute.key)]) AS attributes,
       count(r) AS count, max(id(r)) AS last
