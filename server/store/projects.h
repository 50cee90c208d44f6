// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/domain/project.h"
#include "server/sched/shares.h"
#include "server/store/database.h"
#include "server/store/queue.h"
#include "server/store/running_tasks.h"

// Tables projects, job_trees and project_trees: who shares the farm, what each has had and stores.
namespace tyllm::server::store::projects {

/// Makes it, with weight 1 and no quotas, when it is not there.
Status Ensure(Database& db, const std::string& name);
Status Set(Database& db, const domain::Project& project);
/// One that is not there counts as one of weight 1 without quotas.
Result<ProjectRecord> Get(Database& db, const std::string& name);
/// By name.
Result<std::vector<ProjectRecord>> List(Database& db);

/// Adds to what it has had.
Status Charge(Database& db, const std::string& name, double device_seconds, std::int64_t now,
              const sched::Fairness& fairness);
Result<sched::Shares> SharesAt(Database& db, RunningTasks& running, std::int64_t now,
                               const sched::Fairness& fairness);

/// The job refers to the tree, whose files have so many bytes. Nothing when it did already.
Status AddTree(Database& db, JobId job, const BlobId& tree, std::int64_t bytes);
/// 0 when no job of the project refers to it.
Result<std::int64_t> TreeBytes(Database& db, const std::string& project, const BlobId& tree);
/// Trees of jobs, of results and of unfinished work; sorted, each once.
Result<std::vector<BlobId>> TreesInUse(Database& db);

}  // namespace tyllm::server::store::projects
