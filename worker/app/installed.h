// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"
#include "common/domain/task_options.h"

namespace tyllm::app {

/// The folder that this program was started from.
Path ProgramFolder();

/// A file that came with the program, such as "wikitext-2/valid.txt": below ../share/tyllm beside
/// the program's folder, or in the source tree when it runs from a build folder. kUnavailable names
/// both places.
Result<Path> InstalledFile(const Path& name);

/// The calibration text of a set that came with the program.
Result<Path> CalibrationFile(domain::CalibrationSet set);

/// Compiled objects that any run may use again: $TYLLM_CACHE, $XDG_CACHE_HOME/tyllm or
/// ~/.cache/tyllm; empty when none of them is known.
Path DefaultCache();

}  // namespace tyllm::app
