// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"

namespace tyllm {

/// As the file system names it: absolute, links followed as far as the path exists, and without a
/// slash at its end.
Path RealPath(const Path& path);

/// RealPath of where something is to be written. kInvalidArgument where the way there has a link
/// that leads nowhere.
Result<Path> RealTarget(const Path& path);

/// Whether `path` is `folder` or lies in it, links followed.
bool LiesIn(const Path& path, const Path& folder);

}  // namespace tyllm
