// scenes/rename: call a thing of a scene by its right name
// access: write
// param  thing  STRING id of the thing
// param  name   STRING its right name
// return thing  STRING its id
// return was    STRING its name until now
MATCH (o:SceneObject {id: $thing})
WITH o, o.name AS was
SET o.name = $name
RETURN o.id AS thing, was
