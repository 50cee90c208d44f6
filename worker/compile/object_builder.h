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

  /// Programs that Build will be asked for: where several are not in the cache, the kernels'
  /// headers are gone through once for all of them. Before any Build.
  void Expect(const std::vector<const GeneratedProgram*>& programs);

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
  Status Precompile();
  /// Without the precompiled headers where the compiler does not take them.
  Status Compile(const Path& directory) const;

  FileSystem& files_;
  SystemCompiler compiler_;
  std::vector<std::string> flags_;
  Path scratch_;
  ObjectCache cache_;
  artifact::Toolchain toolchain_;
  Path precompiled_;  ///< headers; empty: none
  mutable Guarded<bool> headers_written_{false};
  mutable Guarded<std::int64_t> from_cache_{std::int64_t{0}};
};

/// What a program's object is found by in the cache.
std::string ObjectKey(const artifact::Toolchain& toolchain, const GeneratedProgram& program);

/// What identifies objects made here.
artifact::Toolchain ToolchainOf(const SystemCompiler& compiler, const std::string& target_cpu);

}  // namespace tyllm::compile
