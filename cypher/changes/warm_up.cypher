// changes/warm_up: change something that no domain knows, so that the trigger's statements are planned before a person waits for them
// access: write
// return made INTEGER   1; it is gone again
CREATE (n:Batch {id: 'warm-up'})
DELETE n
RETURN count(*) AS made
