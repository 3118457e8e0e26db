// clusters/add: a new craft cluster with what is known of it; after `korvai refresh` it is ranked like any other
// access: write
// param  name           STRING       the cluster's name
// param  description    STRING       a sentence or two
// param  techniques     LIST<STRING> names of Technique nodes by USES_TECHNIQUE, default []
// param  zari           LIST<STRING> names of Zari nodes by USES_ZARI, default []
// param  bodies         LIST<STRING> names of Body nodes by HAS_BODY, default []
// param  body_motifs    LIST<STRING> names of Motif nodes by BODY_MOTIF, default []
// param  borders        LIST<STRING> names of Border nodes by HAS_BORDER, default []
// param  border_widths  LIST<STRING> names of Width nodes by BORDER_WIDTH, default []
// param  pallus         LIST<STRING> names of Pallu nodes by HAS_PALLU, default []
// param  pallu_motifs   LIST<STRING> names of Motif nodes by PALLU_MOTIF, default []
// param  body_colours   LIST<STRING> names of Colour nodes by BODY_COLOUR, default []
// param  border_colours LIST<STRING> names of Colour nodes by BORDER_COLOUR, default []
// param  pallu_colours  LIST<STRING> names of Colour nodes by PALLU_COLOUR, default []
// param  shares         MAP          how often each holds, beside the names: {BODY_COLOUR: [0.7, 0.3]}, default {} (alike)
// return cluster        STRING       its name
// return relations      INTEGER      how many relations it has now
MERGE (c:Cluster {name: $name})
SET c:Class, c.description = $description
// A share that is not given is left as it is; a snapshot takes relations without one as alike.
WITH c, $shares AS shares
CALL (c, shares) {
  WITH $techniques AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Technique {name: names[at]})
  MERGE (c)-[r:USES_TECHNIQUE]->(n) SET r.share = coalesce(shares.USES_TECHNIQUE[at], r.share)
}
CALL (c, shares) {
  WITH $zari AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Zari {name: names[at]})
  MERGE (c)-[r:USES_ZARI]->(n) SET r.share = coalesce(shares.USES_ZARI[at], r.share)
}
CALL (c, shares) {
  WITH $bodies AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Body {name: names[at]})
  MERGE (c)-[r:HAS_BODY]->(n) SET r.share = coalesce(shares.HAS_BODY[at], r.share)
}
CALL (c, shares) {
  WITH $body_motifs AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Motif {name: names[at]})
  MERGE (c)-[r:BODY_MOTIF]->(n) SET r.share = coalesce(shares.BODY_MOTIF[at], r.share)
}
CALL (c, shares) {
  WITH $borders AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Border {name: names[at]})
  MERGE (c)-[r:HAS_BORDER]->(n) SET r.share = coalesce(shares.HAS_BORDER[at], r.share)
}
CALL (c, shares) {
  WITH $border_widths AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Width {name: names[at]})
  MERGE (c)-[r:BORDER_WIDTH]->(n) SET r.share = coalesce(shares.BORDER_WIDTH[at], r.share)
}
CALL (c, shares) {
  WITH $pallus AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Pallu {name: names[at]})
  MERGE (c)-[r:HAS_PALLU]->(n) SET r.share = coalesce(shares.HAS_PALLU[at], r.share)
}
CALL (c, shares) {
  WITH $pallu_motifs AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Motif {name: names[at]})
  MERGE (c)-[r:PALLU_MOTIF]->(n) SET r.share = coalesce(shares.PALLU_MOTIF[at], r.share)
}
CALL (c, shares) {
  WITH $body_colours AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Colour {name: names[at]})
  MERGE (c)-[r:BODY_COLOUR]->(n) SET r.share = coalesce(shares.BODY_COLOUR[at], r.share)
}
CALL (c, shares) {
  WITH $border_colours AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Colour {name: names[at]})
  MERGE (c)-[r:BORDER_COLOUR]->(n) SET r.share = coalesce(shares.BORDER_COLOUR[at], r.share)
}
CALL (c, shares) {
  WITH $pallu_colours AS names UNWIND range(0, size(names) - 1) AS at MATCH (n:Colour {name: names[at]})
  MERGE (c)-[r:PALLU_COLOUR]->(n) SET r.share = coalesce(shares.PALLU_COLOUR[at], r.share)
}
RETURN c.name AS cluster, COUNT { (c)-->() } AS relations
