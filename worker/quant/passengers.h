// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "common/base/file_system.h"

namespace tyllm::quant {

/// Copies files (relative names, folders made as needed), all but those in `except`.
Status CopyPassengers(FileSystem& files, const Path& from, const Path& to,
                      std::span<const Path> names, std::span<const Path> except);

/// kDataLoss naming the first of `names` that is not in `directory`.
Status CheckPassengers(const Path& directory, std::span<const Path> names);

}  // namespace tyllm::quant
