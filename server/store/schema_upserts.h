// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 5 to 6: what is counted by triggers is counted with one statement each. An
// INSERT ... SELECT from the table that it fills goes through a temporary one, which took longer
// than all the rest.
namespace tyllm::server::store::schema {

inline constexpr const char* kUpserts = R"sql(
DROP TRIGGER jobs_begun;
CREATE TRIGGER jobs_begun AFTER INSERT ON jobs BEGIN
  INSERT INTO projects(name, live_jobs) VALUES(NEW.project, 1)
    ON CONFLICT(name) DO UPDATE SET live_jobs = live_jobs + 1;
END;
DROP TRIGGER job_trees_added;
CREATE TRIGGER job_trees_added AFTER INSERT ON job_trees BEGIN
  INSERT INTO project_trees(project, tree, bytes, jobs)
    VALUES(NEW.project, NEW.tree, NEW.bytes, 1)
    ON CONFLICT(project, tree) DO UPDATE SET jobs = jobs + 1;
END;
)sql";

}  // namespace tyllm::server::store::schema
