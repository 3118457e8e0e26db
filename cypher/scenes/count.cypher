// scenes/count: which relations scenes hold, and in how many images, commonest first
// access: read
// param  limit     INTEGER 1..100000, default 25
// return subject   STRING  name of the thing that stands so
// return predicate STRING  how it stands
// return object    STRING  name of the other thing
// return images    INTEGER images that show it
MATCH (image:Image)-[:DEPICTS]->(s:SceneObject)-[r:RELATION]->(o:SceneObject)
RETURN s.name AS subject, r.predicate AS predicate, o.name AS object, count(DISTINCT image) AS images
ORDER BY images DESC, subject, predicate, object LIMIT $limit
