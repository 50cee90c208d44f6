// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"
#include "common/domain/worker_sync.h"

namespace tyllm::agent {

/// Attempts that a worker had to leave while its server did not answer, for the next process in its
/// folder to tell: docs/formats/work_folder.md.

/// What still ran counts as stopped; what had ended keeps its outcome. Of their logs nothing more
/// will come.
Status KeepUnreturned(const Path& file, const std::string& worker,
                      std::vector<domain::HeldAttempt> held);

/// Those of the worker of this name; none when there is no such file, or it is of no use.
std::vector<domain::HeldAttempt> ReadUnreturned(const Path& file, const std::string& worker);

}  // namespace tyllm::agent
