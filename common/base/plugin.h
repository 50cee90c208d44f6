// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"

namespace tyllm {

/// Where a shared object of this project lies: beside the program, in ../lib or in ../lib/tyllm.
/// Empty when it is in none of them.
Path FindPlugin(const char* file);

/// What `file` exports as `symbol`. kFailedPrecondition says why it cannot be loaded, a library
/// that is missing on this machine for example. The file stays loaded.
Result<const void*> LoadPlugin(const Path& file, const char* symbol);

/// The same as a table of functions that begins with the number of its interface, `abi`: both sides
/// are built from the same sources by the same compiler, and the number guards against a stray
/// file.
template <typename Plugin>
Result<const Plugin*> LoadPlugin(const Path& file, const char* symbol, int abi) {
  TYLLM_ASSIGN(const void* const found, LoadPlugin(file, symbol));
  const auto* const plugin = static_cast<const Plugin*>(found);
  if (plugin->abi != abi) {
    return FailedPrecondition(file.string() + " is of another version, expected interface " +
                              std::to_string(abi) + ", found " + std::to_string(plugin->abi) +
                              "; install both together");
  }
  return plugin;
}

}  // namespace tyllm
