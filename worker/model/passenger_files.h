// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"

namespace tyllm::model {

/// Files of a model directory that hold no weights, as relative names, sorted. Left out: weights in
/// any format, indexes of weights, hidden files and folders, and folders that are models of their
/// own (they have a config.json). Links are followed within the directory, but those to a folder
/// above them, and to the "blobs" of a hub's cache that the directory is a snapshot of; what other
/// links lead to is not of the model.
Result<std::vector<Path>> FindPassengerFiles(const Path& directory);

/// Links of the directory itself to files that are left out so, sorted.
std::vector<Path> FindLinksOut(const Path& directory);

/// kInvalidArgument where what every output needs, config.json or tokenizer.json, is such a link.
Status CheckLinks(const Path& directory);

}  // namespace tyllm::model
