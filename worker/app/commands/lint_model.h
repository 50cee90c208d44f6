// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/file_system.h"
#include "common/cli/command.h"

namespace tyllm::app {

/// `tyllm inspect DIR --lint READER`: kFailed when the reader would refuse the model.
cli::ExitCode LintModel(const Path& directory, const std::string& reader, bool json);

}  // namespace tyllm::app
