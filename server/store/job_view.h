// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/views.h"
#include "server/store/database.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

/// Adds the tasks and the outputs that are there; `outputs` are labels of tasks by name.
Status ShowTasks(Database& db, const std::vector<tasks::Row>& rows,
                 const std::map<std::string, std::string>& outputs, domain::JobView& view);

/// A job with its tasks and the outputs that are there. kNotFound when there is no such job.
Result<domain::JobView> ViewOf(Database& db, domain::JobId job);

}  // namespace tyllm::server::store
