// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "server/store/ground.h"

namespace tyllm::server::store {

/// Queue::CancelJob. Each of the job's running attempts for whose result a task of another job
/// waits goes to that job (docs/adr/0047-joining-by-exchange.md): the two rows change places, the
/// running one becomes the waiting job's task, the waiting one the job's that is cancelled. So an
/// attempt is cancelled only when the last who wants its result has gone. Returns the jobs that got
/// one.
Result<std::vector<JobId>> CancelJob(const Ground& ground, JobId job, const std::string& by,
                                     std::int64_t now);

}  // namespace tyllm::server::store
