// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 1 to 2: what people may ask of jobs and workers besides queueing and cancelling.
namespace tyllm::server::store::schema {

inline constexpr const char* kRequests = R"sql(
ALTER TABLE jobs ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN job_class INTEGER NOT NULL DEFAULT 0 CHECK(job_class IN (0, 1));
ALTER TABLE jobs ADD COLUMN retry_of INTEGER;
CREATE INDEX jobs_by_end ON jobs(ended_ms, id) WHERE ended_ms IS NOT NULL;
CREATE INDEX jobs_by_priority ON jobs(priority DESC, id);
CREATE INDEX jobs_by_project ON jobs(project, id);

CREATE TABLE job_labels(
  job INTEGER NOT NULL REFERENCES jobs(id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY(job, key)
) STRICT, WITHOUT ROWID;
INSERT INTO job_labels(job, key, value)
  SELECT jobs.id, label.key, label.value FROM jobs, json_each(jobs.spec, '$.labels') AS label;

CREATE TABLE answered(
  request_id TEXT PRIMARY KEY,
  method TEXT NOT NULL,
  fingerprint BLOB CHECK(fingerprint IS NULL OR length(fingerprint) = 32),
  job INTEGER,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO answered(request_id, method, job, at_ms)
  SELECT request_id, 'SubmitJob', job, at_ms FROM requests;
DROP TABLE requests;
ALTER TABLE answered RENAME TO requests;
CREATE INDEX requests_by_age ON requests(at_ms);

ALTER TABLE tasks ADD COLUMN kept INTEGER NOT NULL DEFAULT 0 CHECK(kept IN (0, 1));
ALTER TABLE tasks ADD COLUMN made_by INTEGER;

ALTER TABLE attempts ADD COLUMN failure TEXT;
ALTER TABLE attempts ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN toolchain TEXT NOT NULL DEFAULT '';
CREATE INDEX attempts_succeeded ON attempts(ended_ms) WHERE ending = 0;

CREATE TABLE results(
  key BLOB PRIMARY KEY CHECK(length(key) = 32),
  output TEXT NOT NULL,
  task INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO results(key, output, task, at_ms) SELECT key, output, task, at_ms FROM actions;
DROP TABLE actions;
ALTER TABLE results RENAME TO actions;

CREATE TABLE decisions(
  task INTEGER NOT NULL REFERENCES tasks(id),
  number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY(task, number)
) STRICT, WITHOUT ROWID;

ALTER TABLE workers ADD COLUMN mode INTEGER NOT NULL DEFAULT 0 CHECK(mode BETWEEN 0 AND 3);
ALTER TABLE workers ADD COLUMN mode_reason TEXT NOT NULL DEFAULT '';
UPDATE workers SET mode = drained;
ALTER TABLE workers DROP COLUMN drained;
)sql";

}  // namespace tyllm::server::store::schema
