// schema/in_place: which indexes are there, those of constraints among them
// access: read
// return names LIST<STRING>
SHOW INDEXES YIELD name
RETURN collect(name) AS names
