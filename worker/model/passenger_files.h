// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"

namespace tyllm::model {

/// Files of a model directory that hold no weights, as relative names, sorted. Left out: weights in
/// any format, indexes of weights, hidden files and folders, and folders that are models of their
/// own (they have a config.json). Links are followed, but those to a folder above them.
Result<std::vector<Path>> FindPassengerFiles(const Path& directory);

}  // namespace tyllm::model
