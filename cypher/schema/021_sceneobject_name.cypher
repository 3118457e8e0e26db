// schema/021_sceneobject_name: scenes are searched by the names of their things
// access: schema
CREATE INDEX korvai_sceneobject_name IF NOT EXISTS FOR (n:SceneObject) ON (n.name)
