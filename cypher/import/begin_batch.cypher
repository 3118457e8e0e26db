// import/begin_batch: record that an import has begun to write
// access: write
// param  id      STRING
// param  kind    STRING         saree, wikiart, csv, descriptions
// param  who     STRING         user of the machine that runs it
// param  source  STRING         file or folder
// param  domain  STRING
// param  labels  LIST<STRING>   the domain's labels
// return id      STRING
MERGE (b:Batch {id: $id})
SET b.kind = $kind, b.who = $who, b.source = $source, b.domain = $domain, b.labels = $labels, b.at = datetime(), b.state = 'running'
RETURN b.id AS id
