// edits/clock: the server's time, by which edits are ordered
// access: read
// return at DATETIME now, UTC
RETURN datetime.realtime('UTC') AS at
