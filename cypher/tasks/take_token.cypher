// tasks/take_token: raise a task's fencing token and return it; the highest token is the only one that may publish
// access: write
// param  domain STRING  name of the domain
// param  task   STRING  name of the task
// return token  INTEGER higher than any token given out before
MERGE (t:Task {domain: $domain, name: $task})
SET t.locked_at = datetime()
WITH t // the write above took the lock: nobody else raises the token between this read and this write
SET t.token = coalesce(t.token, 0) + 1
RETURN t.token AS token
