// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 7 to 8: no index whose keys are digests or chosen by clients, where a row is
// written for each job. Rows are found by keys in memory.
namespace tyllm::server::store::schema {

inline constexpr const char* kKeys = R"sql(
DROP INDEX tasks_queued_key;

CREATE TABLE results(
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL CHECK(length(key) = 32),
  output TEXT NOT NULL,
  task INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO results(key, output, task, at_ms)
  SELECT key, output, task, at_ms FROM actions ORDER BY at_ms;
DROP TABLE actions;
ALTER TABLE results RENAME TO actions;
CREATE INDEX actions_by_age ON actions(at_ms);

CREATE TABLE answered(
  id INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL,
  method TEXT NOT NULL,
  fingerprint BLOB CHECK(fingerprint IS NULL OR length(fingerprint) = 32),
  job INTEGER,
  at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO answered(request_id, method, fingerprint, job, at_ms)
  SELECT request_id, method, fingerprint, job, at_ms FROM requests ORDER BY at_ms;
DROP TABLE requests;
ALTER TABLE answered RENAME TO requests;
CREATE INDEX requests_by_age ON requests(at_ms);
)sql";

}  // namespace tyllm::server::store::schema
