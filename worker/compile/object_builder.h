// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/base/guarded.h"
#include "worker/artifact/manifest.h"
#include "worker/compile/generate.h"
#include "worker/compile/object_cache.h"
#include "worker/compile/system_compiler.h"

namespace tyllm::compile {

/// Turns generated programs into shared objects. Threads: Build may be called from any.
class ObjectBuilder {
 public:
  /// `scratch` gets the kernel headers and the units when something must be compiled; the caller
  /// removes it. `cache` may be empty.
  ObjectBuilder(FileSystem& files, SystemCompiler compiler, const std::string& target_cpu,
                Path scratch, Path cache);

  const artifact::Toolchain& toolchain() const { return toolchain_; }

  /// The object's bytes, from the cache or from the compiler. The same program gives the same
  /// bytes, wherever and whenever it is built.
  Result<std::string> Build(const GeneratedProgram& program) const;

  /// Objects that came from the cache.
  std::int64_t from_cache() const {
    auto count = from_cache_.Lock();
    return *count;
  }

 private:
  /// The first caller writes them, the others wait for it.
  Status WriteHeaders() const;

  FileSystem& files_;
  SystemCompiler compiler_;
  std::vector<std::string> flags_;
  Path scratch_;
  ObjectCache cache_;
  artifact::Toolchain toolchain_;
  mutable Guarded<bool> headers_written_{false};
  mutable Guarded<std::int64_t> from_cache_{std::int64_t{0}};
};

/// What identifies objects made here.
artifact::Toolchain ToolchainOf(const SystemCompiler& compiler, const std::string& target_cpu);

}  // namespace tyllm::compile
