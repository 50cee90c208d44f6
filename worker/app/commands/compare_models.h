// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/cli/command.h"

namespace tyllm::app {

/// `tyllm inspect --diff A B`: prints how two compiled models differ. kFailed when they do.
cli::ExitCode CompareModels(const Path& a, const Path& b, bool json);

}  // namespace tyllm::app
