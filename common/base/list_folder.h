// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"

namespace tyllm {

/// What is in a folder, in no order; kNotFound without the folder. Unlike a loop over
/// std::filesystem::directory_iterator it throws nothing when a disk fails on the way.
Result<std::vector<Path>> ListFolder(const Path& folder);

}  // namespace tyllm
