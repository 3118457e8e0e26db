// pull/scene_relation_page: one page of the relations between depicted objects as columns, in id order
// access: read
// param  after      INTEGER         last id of the page before; -1 for the first
// param  page_rows  INTEGER         relationships a page
// return triples    LIST<LIST<ANY>> subject id, predicate, object id
// return count      INTEGER         relationships on this page; 0 after the last
// return last       INTEGER         highest id of the page
MATCH (subject)-[r:RELATION]->(object) WHERE id(r) > $after
WITH subject, r, object ORDER BY r LIMIT $page_rows
RETURN collect([subject.id, r.predicate, object.id]) AS triples,
       count(r) AS count, max(id(r)) AS last
