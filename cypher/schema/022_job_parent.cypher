// schema/022_job_parent: the parts of a job that was shared out
// access: schema
CREATE INDEX korvai_job_parent IF NOT EXISTS FOR (n:Job) ON (n.parent)
