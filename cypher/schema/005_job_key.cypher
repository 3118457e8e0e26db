// schema/005_job_key: a Job is known by its id
// access: schema
CREATE CONSTRAINT korvai_job_id IF NOT EXISTS FOR (n:Job) REQUIRE n.id IS UNIQUE
