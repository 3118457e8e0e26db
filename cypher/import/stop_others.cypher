// import/stop_others: whoever holds the lease marks as stopped what claims to run; waits for transactions about to commit
// access: write
// param  id      STRING    the one that goes on
// return stopped INTEGER
MATCH (b:Batch {state: 'running'}) WHERE b.id <> $id
SET b.state = 'stopped'
RETURN count(b) AS stopped
