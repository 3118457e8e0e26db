// scenes/find: images that show a thing with an attribute
// access: read
// param  name      STRING  name of the thing, default peacock
// param  attribute STRING  an attribute it must have; '' for any, default ''
// param  limit     INTEGER 1..1000, default 20
// return image     STRING  sha256 of the image
// return thing     STRING  id of the thing
// return name      STRING  its name
// return attributes LIST<STRING> all its attributes
// return source    STRING  who saw it
MATCH (image:Image)-[:DEPICTS]->(thing:SceneObject {name: $name})
WHERE $attribute = '' OR EXISTS { (thing)-[:HAS_ATTRIBUTE]->(:Attribute {name: $attribute}) }
RETURN image.sha256 AS image, thing.id AS thing, thing.name AS name,
       [(thing)-[:HAS_ATTRIBUTE]->(a) | a.name] AS attributes, thing.source AS source
ORDER BY image, thing LIMIT $limit
