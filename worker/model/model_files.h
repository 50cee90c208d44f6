// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::model {

/// Everything of a model directory that the model is made of: the weight files that are read, their
/// index, and the passengers. Relative names, sorted. What else lies there (hidden files, weights
/// in other formats, results of other runs) is not part of it. Errors are those of the weights.
Result<std::vector<Path>> FindModelFiles(const Path& directory);

/// Of all of `files` below `directory`; one that cannot be looked at counts nothing.
std::uint64_t BytesOfFiles(const Path& directory, const std::vector<Path>& files);

}  // namespace tyllm::model
