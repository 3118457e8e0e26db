// scenes/count_attributes: which things have which attributes, and in how many images, commonest first
// access: read
// param  limit     INTEGER 1..100000, default 25
// return name      STRING  name of the thing
// return attribute STRING  what it is
// return slot      STRING  which of its sides that is; '' where nobody said
// return images    INTEGER images that show it
MATCH (image:Image)-[:DEPICTS]->(thing:SceneObject)-[:HAS_ATTRIBUTE]->(a:Attribute)
RETURN thing.name AS name, a.name AS attribute, coalesce(a.slot, '') AS slot, count(DISTINCT image) AS images
ORDER BY images DESC, name, attribute LIMIT $limit
