// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"

namespace tyllm::model {

/// Everything of a model directory that the model is made of: the weight files that are read, their
/// index, and the passengers. Relative names, sorted. What else lies there (hidden files, weights
/// in other formats, results of other runs) is not part of it. Errors are those of the weights.
Result<std::vector<Path>> FindModelFiles(const Path& directory);

}  // namespace tyllm::model
