// schema/017_job_exclusive: one job at a time has the right to do what two must never do together
// access: schema
CREATE CONSTRAINT korvai_job_exclusive IF NOT EXISTS FOR (n:Job) REQUIRE n.exclusive IS UNIQUE
