// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"

namespace tyllm::simulator {

/// Whether a shared object has all bytes that its ELF header speaks of: the loader would map a file
/// that is cut off and die of it (SIGBUS). Files that are no 64-bit ELF are left to the loader,
/// which refuses them.
Status CheckWholeObject(const Path& path);

}  // namespace tyllm::simulator
