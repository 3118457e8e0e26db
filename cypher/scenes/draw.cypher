// scenes/draw: the scene of one image as Browser draws it: its things, their attributes, how they stand to each other
// access: read
// param  image  STRING sha256 of the image
// return shown  PATH   from the image to a thing, and on to an attribute or another thing
MATCH shown = (:Image {sha256: $image})-[:DEPICTS]->(:SceneObject)
RETURN shown
UNION
MATCH shown = (:Image {sha256: $image})-[:DEPICTS]->(:SceneObject)-[:HAS_ATTRIBUTE|RELATION]->()
RETURN shown
