// import/list_batches: the imports that this graph remembers, latest first
// access: read
// param  limit    INTEGER   1..1000
// return id       STRING
// return kind     STRING
// return who      STRING
// return at       DATETIME
// return source   STRING
// return domain   STRING
// return state    STRING    running, done, stopped, undone
// return created  INTEGER
// return updated  INTEGER
// return problems INTEGER
MATCH (b:Batch)
RETURN b.id AS id, b.kind AS kind, b.who AS who, b.at AS at, b.source AS source, b.domain AS domain, b.state AS state,
       b.created AS created, b.updated AS updated, b.problems AS problems
ORDER BY b.at DESC, b.id LIMIT $limit
