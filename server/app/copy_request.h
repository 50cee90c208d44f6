// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/base/result.h"

namespace tyllm::server::app {

/// Asks the server that runs on the data folder for a copy of its queue (AdminService.CopyQueue);
/// where the copy is.
Result<Path> AskForCopy(const Path& data);

}  // namespace tyllm::server::app
