// schema/011_task_key: a Task is known by its domain and name
// access: schema
CREATE CONSTRAINT korvai_task_key IF NOT EXISTS FOR (n:Task) REQUIRE (n.domain, n.name) IS UNIQUE
