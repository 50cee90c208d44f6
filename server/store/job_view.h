// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/views.h"
#include "server/store/database.h"

namespace tyllm::server::store {

/// A job with its tasks and the outputs that are there. kNotFound when there is no such job.
Result<domain::JobView> ViewOf(Database& db, domain::JobId job);

}  // namespace tyllm::server::store
