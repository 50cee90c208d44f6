// SPDX-License-Identifier: Apache-2.0
#pragma once

// Schema 9: rows that change are small, and nothing is written that nobody looks for
// (docs/adr/0105-rows-that-change-are-small.md).
namespace tyllm::server::store::schema {

inline constexpr const char* kLean = R"sql(
DROP TRIGGER jobs_final;
ALTER TABLE jobs ADD COLUMN kind INTEGER NOT NULL DEFAULT 0 CHECK(kind BETWEEN 0 AND 4);
ALTER TABLE jobs ADD COLUMN labels TEXT;
UPDATE jobs SET
  kind = CASE json_extract(spec, '$.kind') WHEN 'convert' THEN 1 WHEN 'evaluate' THEN 2
    WHEN 'compile' THEN 3 WHEN 'pipeline' THEN 4 ELSE 0 END,
  labels = nullif(
    (SELECT json_group_object(key, value)
     FROM (SELECT key, value FROM job_labels WHERE job = jobs.id ORDER BY key)),
    coalesce(json_extract(spec, '$.labels'), '{}'));
DROP TABLE job_labels;
CREATE TABLE job_texts(
  job INTEGER PRIMARY KEY REFERENCES jobs(id),
  spec TEXT NOT NULL,
  outputs TEXT NOT NULL
) STRICT;
INSERT INTO job_texts(job, spec, outputs) SELECT id, spec, outputs FROM jobs;
ALTER TABLE jobs DROP COLUMN spec;
ALTER TABLE jobs DROP COLUMN outputs;
CREATE TRIGGER job_texts_stay BEFORE UPDATE ON job_texts
BEGIN SELECT RAISE(ABORT, 'what a job was asked to do does not change'); END;
CREATE TRIGGER jobs_final BEFORE UPDATE OF state, cancel_asked, failure, created_ms, ended_ms,
  last_event, project, priority, job_class, retry_of, kind ON jobs WHEN OLD.state >= 3
BEGIN SELECT RAISE(ABORT, 'a job that has ended does not change'); END;
DROP INDEX jobs_by_priority;
CREATE INDEX jobs_by_priority ON jobs(priority DESC, id) WHERE priority <> 0;

DROP INDEX requests_by_age;
DROP INDEX attempts_succeeded;

CREATE TABLE lean_tasks(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs(id),
  position INTEGER NOT NULL,
  label TEXT NOT NULL,
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 4),
  state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 6),
  attempt INTEGER NOT NULL DEFAULT 0,
  lane INTEGER REFERENCES lanes(id),
  use_cache INTEGER NOT NULL CHECK(use_cache IN (0, 1)),
  has_result INTEGER NOT NULL DEFAULT 0 CHECK(has_result IN (0, use_cache)),
  action_key BLOB CHECK(action_key IS NULL OR length(action_key) = 32),
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  queued_ms INTEGER,
  started_ms INTEGER,
  ended_ms INTEGER,
  worker TEXT,
  session TEXT,
  rate REAL NOT NULL DEFAULT 0,
  device_seconds REAL NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  cached INTEGER NOT NULL DEFAULT 0 CHECK(cached IN (0, 1)),
  kept INTEGER NOT NULL DEFAULT 0 CHECK(kept IN (0, 1)),
  made_by INTEGER,
  output TEXT,
  failure TEXT,
  input_trees TEXT NOT NULL DEFAULT '[]',
  inputs TEXT NOT NULL,
  spec TEXT NOT NULL,
  UNIQUE(job, position),
  CHECK((state = 4) = (output IS NOT NULL)),
  CHECK((state >= 4) = (ended_ms IS NOT NULL)),
  CHECK(state IN (0, 6) OR action_key IS NOT NULL),
  CHECK(state NOT IN (2, 3) OR (attempt > 0 AND worker IS NOT NULL AND session IS NOT NULL)),
  CHECK(state <> 5 OR failure IS NOT NULL)
) STRICT;
INSERT INTO lean_tasks(id, job, position, label, kind, state, attempt, lane, use_cache, has_result,
  action_key, not_before_ms, queued_ms, started_ms, ended_ms, worker, session, rate,
  device_seconds, failures, losses, cached, kept, made_by, output, failure, input_trees, inputs,
  spec)
  SELECT id, job, position, label, kind, state, attempt, lane, use_cache, has_result, action_key,
  not_before_ms, queued_ms, started_ms, ended_ms, worker, session, rate, device_seconds, failures,
  losses, cached, kept, made_by, output, failure, input_trees, inputs, spec FROM tasks;
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'tasks')
  WHERE name = 'lean_tasks' AND EXISTS(SELECT 1 FROM sqlite_sequence WHERE name = 'tasks');
INSERT INTO sqlite_sequence(name, seq) SELECT 'lean_tasks', seq FROM sqlite_sequence
  WHERE name = 'tasks' AND NOT EXISTS(SELECT 1 FROM sqlite_sequence WHERE name = 'lean_tasks');
DROP TABLE tasks;
ALTER TABLE lean_tasks RENAME TO tasks;
CREATE INDEX tasks_queued ON tasks(lane, job, position) WHERE state = 1;
CREATE INDEX tasks_with_result ON tasks(job, position) WHERE state = 1 AND has_result = 1;
CREATE INDEX tasks_held ON tasks(worker) WHERE state IN (2, 3);
CREATE INDEX tasks_held_key ON tasks(action_key) WHERE state IN (2, 3);
CREATE TRIGGER tasks_final BEFORE UPDATE ON tasks WHEN OLD.state >= 4
BEGIN SELECT RAISE(ABORT, 'a task that has ended does not change'); END;
CREATE TRIGGER tasks_have_lanes BEFORE INSERT ON tasks WHEN NEW.lane IS NULL
BEGIN SELECT RAISE(ABORT, 'a task without a lane would wait for ever'); END;

CREATE TABLE lean_project_trees(
  id INTEGER PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects(name),
  tree TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK(bytes >= 0),
  jobs INTEGER NOT NULL DEFAULT 0,
  UNIQUE(project, tree)
) STRICT;
INSERT INTO lean_project_trees(project, tree, bytes, jobs)
  SELECT project, tree, bytes, jobs FROM project_trees;
CREATE TABLE lean_job_trees(
  job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  tree INTEGER NOT NULL REFERENCES lean_project_trees(id),
  PRIMARY KEY(job, tree)
) STRICT, WITHOUT ROWID;
INSERT INTO lean_job_trees(job, tree) SELECT j.job, p.id FROM job_trees AS j
  JOIN lean_project_trees AS p ON p.project = j.project AND p.tree = j.tree ORDER BY 1, 2;
DROP TABLE job_trees;
DROP TABLE project_trees;
ALTER TABLE lean_project_trees RENAME TO project_trees;
ALTER TABLE lean_job_trees RENAME TO job_trees;
CREATE TRIGGER job_trees_added AFTER INSERT ON job_trees BEGIN
  UPDATE project_trees SET jobs = jobs + 1 WHERE id = NEW.tree;
END;
CREATE TRIGGER job_trees_removed AFTER DELETE ON job_trees BEGIN
  UPDATE project_trees SET jobs = jobs - 1 WHERE id = OLD.tree;
  DELETE FROM project_trees WHERE id = OLD.tree AND jobs = 0;
END;
CREATE TRIGGER project_trees_added AFTER INSERT ON project_trees BEGIN
  UPDATE projects SET stored_bytes = stored_bytes + NEW.bytes WHERE name = NEW.project;
END;
CREATE TRIGGER project_trees_removed AFTER DELETE ON project_trees BEGIN
  UPDATE projects SET stored_bytes = stored_bytes - OLD.bytes WHERE name = OLD.project;
END;

ALTER TABLE workers ADD COLUMN toolchain TEXT NOT NULL DEFAULT '';
UPDATE workers SET toolchain = coalesce(json_extract(capabilities, '$.toolchain_version'), '');

ALTER TABLE attempts ADD COLUMN lane INTEGER REFERENCES lanes(id);
ALTER TABLE attempts ADD COLUMN charge INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN waited_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN inputs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN inputs_there INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN others INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN goes_on INTEGER NOT NULL DEFAULT 0 CHECK(goes_on IN (0, 1));
)sql";

}  // namespace tyllm::server::store::schema
