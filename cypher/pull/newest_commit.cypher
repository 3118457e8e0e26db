// pull/newest_commit: nothing; the bookmark that comes with the answer names the newest commit
// access: read
// return nothing INTEGER always 0
RETURN 0 AS nothing
