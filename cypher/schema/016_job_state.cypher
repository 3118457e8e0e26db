// schema/016_job_state: jobs are looked up by their state, every second
// access: schema
CREATE INDEX korvai_job_state IF NOT EXISTS FOR (n:Job) ON (n.state)
