// changes/live_trigger: does this database run a trigger yet? It looks for new ones once a second
// access: read
// param  name  STRING
// return name  STRING
// return query STRING
CALL apoc.trigger.list() YIELD name AS found, query
WITH found, query WHERE found = $name
RETURN found AS name, query
