// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/domain/devices.h"

namespace tyllm::agent {

/// Asks a toolchain program what it is and can compute with: runs `program devices --json`.
Result<domain::ToolchainFacts> AskToolchain(const Path& program);

}  // namespace tyllm::agent
