// explanations/list: what was explained, latest first
// access: read
// param  class       STRING   key of a class, default ""; of all classes
// param  k           INTEGER  1..1000, default 20
// return image       STRING   sha256 of the image
// return class       STRING   the class it was explained for
// return probability FLOAT    of the class, among all classes
// return sentence    STRING   in words
// return at          DATETIME when
// return id          STRING   for explanations/show
MATCH (e:Explanation)
WHERE $class IN ['', e.class]
RETURN e.image AS image, e.class AS class, e.probability AS probability, e.sentence AS sentence, e.at AS at, e.id AS id
ORDER BY at DESC, id
LIMIT $k
