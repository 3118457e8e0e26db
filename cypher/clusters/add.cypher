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
// return cluster         STRING       its name
// return relations      INTEGER      how many relations it has now
MERGE (c:Cluster {name: $name})
SET c:Class, c.description = $description
WITH c CALL (c) { UNWIND $techniques AS name MATCH (n:Technique {name: name}) MERGE (c)-[:USES_TECHNIQUE]->(n) }
WITH c CALL (c) { UNWIND $zari AS name MATCH (n:Zari {name: name}) MERGE (c)-[:USES_ZARI]->(n) }
WITH c CALL (c) { UNWIND $bodies AS name MATCH (n:Body {name: name}) MERGE (c)-[:HAS_BODY]->(n) }
WITH c CALL (c) { UNWIND $body_motifs AS name MATCH (n:Motif {name: name}) MERGE (c)-[:BODY_MOTIF]->(n) }
WITH c CALL (c) { UNWIND $borders AS name MATCH (n:Border {name: name}) MERGE (c)-[:HAS_BORDER]->(n) }
WITH c CALL (c) { UNWIND $border_widths AS name MATCH (n:Width {name: name}) MERGE (c)-[:BORDER_WIDTH]->(n) }
WITH c CALL (c) { UNWIND $pallus AS name MATCH (n:Pallu {name: name}) MERGE (c)-[:HAS_PALLU]->(n) }
WITH c CALL (c) { UNWIND $pallu_motifs AS name MATCH (n:Motif {name: name}) MERGE (c)-[:PALLU_MOTIF]->(n) }
WITH c CALL (c) { UNWIND $body_colours AS name MATCH (n:Colour {name: name}) MERGE (c)-[:BODY_COLOUR]->(n) }
WITH c CALL (c) { UNWIND $border_colours AS name MATCH (n:Colour {name: name}) MERGE (c)-[:BORDER_COLOUR]->(n) }
WITH c CALL (c) { UNWIND $pallu_colours AS name MATCH (n:Colour {name: name}) MERGE (c)-[:PALLU_COLOUR]->(n) }
RETURN c.name AS cluster, COUNT { (c)-->() } AS relations
