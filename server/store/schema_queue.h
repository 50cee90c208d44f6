// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from nothing to schema 1: the queue. Released: never changed.
namespace tyllm::server::store::schema {

inline constexpr const char* kQueue = R"sql(
CREATE TABLE jobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 5),
  cancel_asked INTEGER NOT NULL DEFAULT 0 CHECK(cancel_asked IN (0, 1)),
  spec TEXT NOT NULL,
  outputs TEXT NOT NULL,
  failure TEXT,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  last_event INTEGER NOT NULL DEFAULT 0,
  CHECK((state >= 3) = (ended_ms IS NOT NULL))
) STRICT;
CREATE INDEX jobs_by_state ON jobs(state, id);
CREATE TRIGGER jobs_final BEFORE UPDATE ON jobs WHEN OLD.state >= 3
BEGIN SELECT RAISE(ABORT, 'a job that has ended does not change'); END;

CREATE TABLE requests(
  request_id TEXT PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs(id),
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs(id),
  position INTEGER NOT NULL,
  label TEXT NOT NULL,
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 4),
  state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 6),
  attempt INTEGER NOT NULL DEFAULT 0,
  spec TEXT NOT NULL,
  inputs TEXT NOT NULL,
  use_cache INTEGER NOT NULL CHECK(use_cache IN (0, 1)),
  action_key BLOB CHECK(action_key IS NULL OR length(action_key) = 32),
  has_result INTEGER NOT NULL DEFAULT 0 CHECK(has_result IN (0, use_cache)),
  worker TEXT,
  session TEXT,
  failures INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  output TEXT,
  failure TEXT,
  cached INTEGER NOT NULL DEFAULT 0 CHECK(cached IN (0, 1)),
  queued_ms INTEGER,
  started_ms INTEGER,
  ended_ms INTEGER,
  UNIQUE(job, position),
  UNIQUE(job, label),
  CHECK((state = 4) = (output IS NOT NULL)),
  CHECK((state >= 4) = (ended_ms IS NOT NULL)),
  CHECK(state IN (0, 6) OR action_key IS NOT NULL),
  CHECK(state NOT IN (2, 3) OR (attempt > 0 AND worker IS NOT NULL AND session IS NOT NULL)),
  CHECK(state <> 5 OR failure IS NOT NULL)
) STRICT;
CREATE INDEX tasks_queued ON tasks(job, position) WHERE state = 1;
CREATE INDEX tasks_queued_key ON tasks(action_key) WHERE state = 1;
CREATE INDEX tasks_with_result ON tasks(job, position) WHERE state = 1 AND has_result = 1;
CREATE INDEX tasks_held ON tasks(worker) WHERE state IN (2, 3);
CREATE INDEX tasks_held_key ON tasks(action_key) WHERE state IN (2, 3);
CREATE TRIGGER tasks_final BEFORE UPDATE ON tasks WHEN OLD.state >= 4
BEGIN SELECT RAISE(ABORT, 'a task that has ended does not change'); END;

CREATE TABLE attempts(
  task INTEGER NOT NULL REFERENCES tasks(id),
  attempt INTEGER NOT NULL CHECK(attempt > 0),
  worker TEXT NOT NULL,
  session TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  ending INTEGER CHECK(ending BETWEEN 0 AND 6),
  PRIMARY KEY(task, attempt),
  CHECK((ended_ms IS NULL) = (ending IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TRIGGER attempts_final BEFORE UPDATE ON attempts WHEN OLD.ended_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an attempt that has ended does not change'); END;

CREATE TABLE job_events(
  job INTEGER NOT NULL REFERENCES jobs(id),
  number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  job_state INTEGER NOT NULL CHECK(job_state BETWEEN 0 AND 5),
  task INTEGER REFERENCES tasks(id),
  task_state INTEGER CHECK(task_state BETWEEN 0 AND 6),
  attempt INTEGER,
  PRIMARY KEY(job, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_events_append_only BEFORE UPDATE ON job_events
BEGIN SELECT RAISE(ABORT, 'events do not change'); END;

CREATE TABLE actions(
  key BLOB PRIMARY KEY CHECK(length(key) = 32),
  output TEXT NOT NULL,
  task INTEGER NOT NULL REFERENCES tasks(id),
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workers(
  name TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  drained INTEGER NOT NULL DEFAULT 0 CHECK(drained IN (0, 1)),
  last_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions(
  worker TEXT NOT NULL REFERENCES workers(name),
  session TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  PRIMARY KEY(worker, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE probes(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  at_ms INTEGER NOT NULL
) STRICT;
)sql";

}  // namespace tyllm::server::store::schema
