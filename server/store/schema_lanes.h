// SPDX-License-Identifier: Apache-2.0
#pragma once

// A step of the schema: what decides who is next. Projects, lanes of the queue, what tasks cost
// and what jobs store.
namespace tyllm::server::store::schema {

inline constexpr const char* kLanes = R"sql(
CREATE TABLE projects(
  name TEXT PRIMARY KEY,
  weight REAL NOT NULL DEFAULT 1 CHECK(weight > 0),
  max_queued_jobs INTEGER CHECK(max_queued_jobs >= 0),
  max_running_tasks INTEGER CHECK(max_running_tasks >= 0),
  max_stored_bytes INTEGER CHECK(max_stored_bytes >= 0),
  used_seconds REAL NOT NULL DEFAULT 0,
  used_at_ms INTEGER NOT NULL DEFAULT 0,
  total_seconds REAL NOT NULL DEFAULT 0,
  stored_bytes INTEGER NOT NULL DEFAULT 0,
  live_jobs INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO projects(name) SELECT 'default' UNION SELECT project FROM jobs;
UPDATE projects SET live_jobs =
  (SELECT count(*) FROM jobs WHERE project = name AND ended_ms IS NULL);
CREATE TRIGGER jobs_begun AFTER INSERT ON jobs BEGIN
  INSERT INTO projects(name) SELECT NEW.project WHERE NOT EXISTS
    (SELECT 1 FROM projects WHERE name = NEW.project);
  UPDATE projects SET live_jobs = live_jobs + 1 WHERE name = NEW.project;
END;
CREATE TRIGGER jobs_ended AFTER UPDATE OF ended_ms ON jobs
WHEN OLD.ended_ms IS NULL AND NEW.ended_ms IS NOT NULL BEGIN
  UPDATE projects SET live_jobs = live_jobs - 1 WHERE name = NEW.project;
END;

CREATE TABLE lanes(
  id INTEGER PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects(name),
  job_class INTEGER NOT NULL CHECK(job_class IN (0, 1)),
  priority INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 4),
  requirements TEXT NOT NULL,
  UNIQUE(project, job_class, priority, kind, requirements)
) STRICT;
INSERT INTO lanes(project, job_class, priority, kind, requirements)
  SELECT DISTINCT j.project, j.job_class, j.priority, t.kind, '[]'
  FROM tasks AS t JOIN jobs AS j ON j.id = t.job WHERE t.state < 4;

ALTER TABLE tasks ADD COLUMN lane INTEGER REFERENCES lanes(id);
ALTER TABLE tasks ADD COLUMN input_trees TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tasks ADD COLUMN rate REAL NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN device_seconds REAL NOT NULL DEFAULT 0;
UPDATE tasks SET lane =
  (SELECT l.id FROM lanes AS l JOIN jobs AS j ON j.id = tasks.job
   WHERE l.project = j.project AND l.job_class = j.job_class AND l.priority = j.priority
     AND l.kind = tasks.kind AND l.requirements = '[]')
  WHERE state < 4;
CREATE TRIGGER tasks_have_lanes BEFORE INSERT ON tasks WHEN NEW.lane IS NULL
BEGIN SELECT RAISE(ABORT, 'a task without a lane would wait for ever'); END;
DROP INDEX tasks_queued;
CREATE INDEX tasks_queued ON tasks(lane, job, position) WHERE state = 1;

CREATE TABLE job_trees(
  job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  tree TEXT NOT NULL,
  project TEXT NOT NULL REFERENCES projects(name),
  bytes INTEGER NOT NULL CHECK(bytes >= 0),
  PRIMARY KEY(job, tree)
) STRICT, WITHOUT ROWID;
CREATE TABLE project_trees(
  project TEXT NOT NULL REFERENCES projects(name),
  tree TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  jobs INTEGER NOT NULL,
  PRIMARY KEY(project, tree)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_trees_added AFTER INSERT ON job_trees BEGIN
  INSERT INTO project_trees(project, tree, bytes, jobs)
    SELECT NEW.project, NEW.tree, NEW.bytes, 0 WHERE NOT EXISTS
      (SELECT 1 FROM project_trees WHERE project = NEW.project AND tree = NEW.tree);
  UPDATE project_trees SET jobs = jobs + 1 WHERE project = NEW.project AND tree = NEW.tree;
END;
CREATE TRIGGER job_trees_removed AFTER DELETE ON job_trees BEGIN
  UPDATE project_trees SET jobs = jobs - 1 WHERE project = OLD.project AND tree = OLD.tree;
  DELETE FROM project_trees WHERE project = OLD.project AND tree = OLD.tree AND jobs = 0;
END;
CREATE TRIGGER project_trees_added AFTER INSERT ON project_trees BEGIN
  UPDATE projects SET stored_bytes = stored_bytes + NEW.bytes WHERE name = NEW.project;
END;
CREATE TRIGGER project_trees_removed AFTER DELETE ON project_trees BEGIN
  UPDATE projects SET stored_bytes = stored_bytes - OLD.bytes WHERE name = OLD.project;
END;

ALTER TABLE workers ADD COLUMN rate REAL NOT NULL DEFAULT 1;
)sql";

}  // namespace tyllm::server::store::schema
