// explanations/write: an explanation of one image and one class, hung on both; none of the three is made if one is missing
// access: write
// slot   class        node_type class label of the task
// slot   class_key    property  key of the class nodes
// param  id           STRING    hash of what is explained
// param  image        STRING    sha256 of the image
// param  class        STRING    key of the class
// param  properties   MAP       all other properties of the node
// return id           STRING    its id
MATCH (i:Image {sha256: $image})
MATCH (c:«class» {«class_key»: $class})
MERGE (e:Explanation {id: $id})
SET e += $properties, e.image = $image, e.class = $class, e.at = datetime()
MERGE (e)-[:EXPLAINS]->(i)
MERGE (e)-[:FOR]->(c)
RETURN e.id AS id
