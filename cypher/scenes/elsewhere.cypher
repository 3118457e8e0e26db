// scenes/elsewhere: captions of other images that are almost true of this one: a relation's ends swapped, or one part other
// access: read
// param  image     STRING  sha256 of the image
// param  limit     INTEGER 1..1000, default 20
// return kind      STRING  which part is other: swapped, predicate, object
// return caption   STRING  a caption of the other image
// return other     STRING  sha256 of the other image
// return subject   STRING  what its scene says
// return predicate STRING  of how it stands
// return object    STRING  to what
MATCH (here:Image {sha256: $image})-[:DEPICTS]->(s:SceneObject)-[r:RELATION]->(o:SceneObject)
WITH here, collect(DISTINCT [s.name, r.predicate, o.name]) AS facts
UNWIND facts AS fact
MATCH (other:Image)-[:DEPICTS]->(a:SceneObject)-[q:RELATION]->(b:SceneObject)
WHERE other <> here AND NOT [a.name, q.predicate, b.name] IN facts
  AND ((a.name = fact[2] AND q.predicate = fact[1] AND b.name = fact[0])
    OR (a.name = fact[0] AND q.predicate <> fact[1] AND b.name = fact[2])
    OR (a.name = fact[0] AND q.predicate = fact[1] AND b.name <> fact[2]
        AND NOT EXISTS { (here)-[:DEPICTS]->(:SceneObject {name: b.name}) }))
WITH DISTINCT other, a.name AS subject, q.predicate AS predicate, b.name AS object,
     CASE WHEN a.name <> fact[0] THEN 'swapped' WHEN b.name = fact[2] THEN 'predicate' ELSE 'object' END AS kind
LIMIT $limit
MATCH (other)-[:HAS_CAPTION]->(caption:Caption)
RETURN kind, caption.text AS caption, other.sha256 AS other, subject, predicate, object
ORDER BY kind, other, caption LIMIT $limit
