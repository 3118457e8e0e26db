// schema/007_sceneobject_key: a SceneObject is known by its id
// access: schema
CREATE CONSTRAINT korvai_sceneobject_id IF NOT EXISTS FOR (n:SceneObject) REQUIRE n.id IS UNIQUE
