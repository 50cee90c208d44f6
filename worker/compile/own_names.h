// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"

namespace tyllm::compile {

/// Whether a name relative to the "<N>die" folder is one that a compilation has for files of its
/// own: batch_1/, visual/ and mrope/ with all below them, and what it writes beside them.
bool IsOwnName(const Path& relative);

/// What travels with a model must not have such names: it would take the place of what was
/// compiled. kInvalidArgument names files that do.
Status CheckPassengers(const std::vector<Path>& passengers, const Path& model);

}  // namespace tyllm::compile
