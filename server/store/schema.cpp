// SPDX-License-Identifier: Apache-2.0
#include "server/store/schema.h"

#include <array>
#include <string>

namespace tyllm::server::store {

namespace {

constexpr std::int64_t kApplicationId = 0x74796c6d;  // "tylm"

// Step i leads from schema i to i + 1. A released step is never changed: add another.
// docs/formats/sqlite_schema.md says what the columns mean.
constexpr std::array kSteps = {
    R"sql(
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
)sql",
};

constexpr Sql kGetVersion{"PRAGMA user_version"};
constexpr Sql kGetApplication{"PRAGMA application_id"};
constexpr Sql kCountTables{"SELECT count(*) FROM sqlite_schema"};

Result<std::int64_t> One(Database& database, const Sql& sql) {
  TYLLM_ASSIGN(Rows rows, database.Query(sql));
  TYLLM_ASSIGN(const bool found, rows.Next());
  TYLLM_CHECK(found);
  return rows.Integer(0);
}

Status CheckOurs(Database& database, std::int64_t version) {
  TYLLM_ASSIGN(const std::int64_t application, One(database, kGetApplication));
  TYLLM_ASSIGN(const std::int64_t tables, One(database, kCountTables));
  if (application != kApplicationId && tables > 0) {
    return FailedPrecondition("the database was not made by tyllm-server (application id " +
                              std::to_string(application) +
                              "); give the server a data folder of its own");
  }
  if (version > SchemaVersion()) {
    return FailedPrecondition("the database has schema " + std::to_string(version) +
                              ", this program knows schemas up to " +
                              std::to_string(SchemaVersion()) +
                              "; run the newer tyllm-server that wrote it, or restore a backup");
  }
  return OkStatus();
}

Status Step(Database& database, std::int64_t from) {
  TYLLM_TRY(database.Begin());
  Status status = database.Execute(kSteps[static_cast<std::size_t>(from)]);
  if (status.ok()) {
    const std::string mark = "PRAGMA user_version=" + std::to_string(from + 1) +
                             "; PRAGMA application_id=" + std::to_string(kApplicationId);
    status = database.Execute(mark.c_str());
  }
  if (status.ok()) {
    status = database.Commit().status();
  }
  if (!status.ok()) {
    database.Rollback();
  }
  return status.Annotate("migrating the database from schema " + std::to_string(from));
}

}  // namespace

std::int64_t SchemaVersion() {
  return static_cast<std::int64_t>(kSteps.size());
}

Status Migrate(Database& database, std::int64_t version) {
  TYLLM_ASSIGN(std::int64_t found, One(database, kGetVersion));
  TYLLM_TRY(CheckOurs(database, found));
  for (; found < version; ++found) {
    TYLLM_TRY(Step(database, found));
  }
  return OkStatus();
}

}  // namespace tyllm::server::store
