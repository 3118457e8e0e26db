// changes/show_trigger: which triggers are there, with which statements and parameters? To be run on the system database
// access: read
// param  database STRING
// return name     STRING  of a trigger
// return query    STRING
// return values   MAP     its parameters
// return paused   BOOLEAN
CALL apoc.trigger.show($database) YIELD name, query, params, paused
RETURN name, query, params AS values, paused
