// publish/index_state: is an index online, and how much of it is built?
// access: read
// param  index   STRING name of the index
// return state   STRING ONLINE, POPULATING or FAILED
// return percent FLOAT  0..100
// return options MAP    dimensions and the like
SHOW INDEXES YIELD name, state, populationPercent, options
WHERE name = $index
RETURN state, populationPercent AS percent, options
