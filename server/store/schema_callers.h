// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 10 to 11: who asked for what, by numbers (docs/adr/0157-who-asked-is-kept.md),
// and when a job that has not begun is given up (docs/adr/0158-a-job-need-not-wait-for-ever.md). No
// table is written anew.
namespace tyllm::server::store::schema {

inline constexpr const char* kCallers = R"sql(
CREATE TABLE callers(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK(name <> '')
) STRICT;

ALTER TABLE jobs ADD COLUMN submitted_by INTEGER REFERENCES callers(id);
ALTER TABLE jobs ADD COLUMN start_by_ms INTEGER CHECK(start_by_ms IS NULL OR ended_ms IS NULL);
CREATE INDEX jobs_by_caller ON jobs(submitted_by, id) WHERE submitted_by IS NOT NULL;
CREATE INDEX jobs_start_by ON jobs(start_by_ms) WHERE start_by_ms IS NOT NULL;
DROP TRIGGER jobs_final;
CREATE TRIGGER jobs_final BEFORE UPDATE OF state, cancel_asked, failure, created_ms, ended_ms,
  last_event, project, priority, job_class, retry_of, kind, submitted_by, start_by_ms ON jobs
WHEN OLD.state >= 3
BEGIN SELECT RAISE(ABORT, 'a job that has ended does not change'); END;

ALTER TABLE job_events ADD COLUMN caller INTEGER REFERENCES callers(id);
ALTER TABLE workers ADD COLUMN mode_by INTEGER REFERENCES callers(id);
)sql";

}  // namespace tyllm::server::store::schema
