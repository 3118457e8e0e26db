// changes/install_trigger: have a statement run before every commit; to be run on the system database
// access: write
// param  database  STRING  the database to watch
// param  name      STRING  of the trigger; one that is there is replaced
// param  text      STRING  of changes/capture
// param  values    MAP     its parameters that are not APOC's
// return installed BOOLEAN
CALL apoc.trigger.install($database, $name, $text, {phase: 'before'}, {params: $values}) YIELD installed
RETURN installed
