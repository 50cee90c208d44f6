// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/compile/directory_size.h"

namespace tyllm::compile {

/// Seconds that the stages of a compilation are expected to take on this many threads, from rates
/// measured on two server cores (docs/benchmarks/compile.md). What the disk takes comes besides.
struct CompileTime {
  double check = 0;    ///< the model's digest, and a look at the numbers of its tables
  double pack = 0;     ///< "pack", "pack_visual"
  double compile = 0;  ///< "compile", "compile_visual"; nothing for objects that are cached
  double golden = 0;   ///< "golden", "golden_visual"
  double verify = 0;   ///< "verify", "verify_visual", and the digests of what was written

  double total() const { return check + pack + compile + golden + verify; }
};

/// `jobs`: threads and compilers at once, at least 1.
CompileTime ExpectedTime(const Preparation& preparation, const DirectorySize& size,
                         std::int64_t jobs);

}  // namespace tyllm::compile
