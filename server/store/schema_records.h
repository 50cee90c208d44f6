// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 4 to 5: jobs can be deleted and results forgotten. Events no longer hold on to
// the task that they tell of, which may have moved to another job; every tree of a job is counted,
// also of those that were queued before trees were.
namespace tyllm::server::store::schema {

inline constexpr const char* kRecords = R"sql(
CREATE TABLE told_events(
  job INTEGER NOT NULL REFERENCES jobs(id),
  number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  job_state INTEGER NOT NULL CHECK(job_state BETWEEN 0 AND 5),
  task INTEGER,
  task_state INTEGER CHECK(task_state BETWEEN 0 AND 6),
  attempt INTEGER,
  PRIMARY KEY(job, number)
) STRICT, WITHOUT ROWID;
INSERT INTO told_events SELECT job, number, at_ms, text, job_state, task, task_state, attempt
  FROM job_events;
DROP TABLE job_events;
ALTER TABLE told_events RENAME TO job_events;
CREATE TRIGGER job_events_append_only BEFORE UPDATE ON job_events
BEGIN SELECT RAISE(ABORT, 'events do not change'); END;

CREATE INDEX actions_by_age ON actions(at_ms);

INSERT INTO job_trees(job, tree, project, bytes)
  SELECT DISTINCT t.job, t.output, j.project, 0 FROM tasks AS t JOIN jobs AS j ON j.id = t.job
  WHERE t.output IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM job_trees WHERE job = t.job AND tree = t.output);
INSERT INTO job_trees(job, tree, project, bytes)
  SELECT DISTINCT t.job, json_extract(i.value, '$.tree'), j.project, 0
  FROM tasks AS t JOIN jobs AS j ON j.id = t.job, json_each(t.inputs) AS i
  WHERE json_extract(i.value, '$.tree') IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM job_trees WHERE job = t.job AND tree = json_extract(i.value, '$.tree'));
)sql";

}  // namespace tyllm::server::store::schema
