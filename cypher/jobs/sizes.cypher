// jobs/sizes: how large is the graph that a job reads, and how long did the last ones of its kind take?
// access: read
// param  kind      STRING
// param  graph     STRING
// return nodes     INTEGER
// return relations INTEGER
// return images    INTEGER
// return took_s    LIST<FLOAT> of at most five that were done, the latest first
CALL {
  MATCH (j:Job {state: 'done'})
  WHERE j.kind = $kind AND j.graph = $graph AND j.started_at IS NOT NULL AND j.ended_at IS NOT NULL
  WITH j ORDER BY j.ended_at DESC LIMIT 5
  RETURN collect(duration.inSeconds(j.started_at, j.ended_at).milliseconds / 1000.0) AS took_s
}
// Each of these is one number that the server keeps.
CALL { MATCH (n) RETURN count(n) AS nodes }
CALL { MATCH ()-[r]->() RETURN count(r) AS relations }
CALL { MATCH (i:Image) RETURN count(i) AS images }
RETURN nodes, relations, images, took_s
