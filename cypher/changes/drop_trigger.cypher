// changes/drop_trigger: take a trigger away; to be run on the system database
// access: write
// param  database  STRING
// param  name      STRING
// return installed BOOLEAN false once it is gone
CALL apoc.trigger.drop($database, $name) YIELD installed
RETURN installed
