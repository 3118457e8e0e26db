// artists/add: a new artist with what is known; what is not in the graph yet (a movement, a field) is not made up
// access: write
// param  name        STRING       key: as in the file names of the artworks, such as amrita-sher-gil
// param  title       STRING       name as people write it
// param  birth       INTEGER      year; 0 is unknown, default 0
// param  death       INTEGER      year; 0 is unknown or alive, default 0
// param  nationality STRING       '' is unknown, default ''
// param  movements   LIST<STRING> keys of Movement nodes, default []
// param  fields      LIST<STRING> keys of Field nodes, default []
// param  teachers    LIST<STRING> keys of Artist nodes, default []
// param  artworks    LIST<STRING> keys of Artwork nodes by this artist, default []
// return artist      STRING       the key
// return relations   INTEGER      how many relations the artist has now
// return not_found   LIST<STRING> keys that no node has
MERGE (a:Artist {name: $name})
SET a.title = $title, a.birth = coalesce(nullIf($birth, 0), a.birth), a.death = coalesce(nullIf($death, 0), a.death),
    a.nationality = coalesce(nullIf($nationality, ''), a.nationality)
WITH a CALL (a) { UNWIND $movements AS name MATCH (n:Movement {name: name}) MERGE (a)-[:Movement]->(n) RETURN collect(name) AS m }
WITH a, m CALL (a) { UNWIND $fields AS name MATCH (n:Field {name: name}) MERGE (a)-[:Field]->(n) RETURN collect(name) AS f }
WITH a, m, f CALL (a) { UNWIND $teachers AS name MATCH (n:Artist {name: name}) MERGE (a)-[:Teacher]->(n) RETURN collect(name) AS t }
WITH a, m, f, t CALL (a) { UNWIND $artworks AS name MATCH (n:Artwork {name: name}) MERGE (n)-[:Author]->(a) RETURN collect(name) AS w }
RETURN a.name AS artist, COUNT { (a)-[]-(other) WHERE NOT other:Edit } AS relations,
       [name IN $movements WHERE NOT name IN m] + [name IN $fields WHERE NOT name IN f] +
       [name IN $teachers WHERE NOT name IN t] + [name IN $artworks WHERE NOT name IN w] AS not_found
