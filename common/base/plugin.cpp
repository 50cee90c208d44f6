// SPDX-License-Identifier: Apache-2.0
#include "common/base/plugin.h"

#include <dlfcn.h>

#include <filesystem>

namespace tyllm {

Path FindPlugin(const char* file) {
  std::error_code error;
  const Path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {".", "../lib", "../lib/tyllm"}) {
    Path found = (folder / place / file).lexically_normal();
    if (std::filesystem::exists(found, error)) {
      return found;
    }
  }
  return {};
}

Result<const void*> LoadPlugin(const Path& file, const char* symbol) {
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = ::dlerror();
    return Unavailable(file.string() +
                       " cannot be loaded: " + (why == nullptr ? "no reason given" : why));
  }
  const void* const found = ::dlsym(library, symbol);
  if (found == nullptr) {
    ::dlclose(library);
    return Unavailable(file.string() + " does not export " + symbol +
                       "; install it together with the program");
  }
  return found;
}

}  // namespace tyllm
