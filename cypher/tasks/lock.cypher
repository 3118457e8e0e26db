// tasks/lock: take a task's write lock for the rest of the transaction and read its fencing token
// access: write
// param  domain STRING  name of the domain
// param  task   STRING  name of the task
// return token  INTEGER the highest token given out
MATCH (t:Task {domain: $domain, name: $task})
SET t.locked_at = datetime()
WITH t
RETURN t.token AS token
