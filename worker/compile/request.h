// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/task_options.h"

namespace tyllm::compile {

struct Preparation;

/// What a compilation is asked to do.
struct CompileRequest {
  Path model;
  domain::CompileOptions options;
  /// Folder whose tokenizer files go into the output instead of the model's; empty: the model's.
  Path source_tokenizer;
  std::string compiler;  ///< empty: the first that is found
  /// As it must say it is (SystemCompiler::id), or as the version of the vendor's toolchain; empty:
  /// whatever it is.
  std::string compiler_id = {};
  Path cache;                    ///< of shared objects; empty: none
  int jobs = 0;                  ///< threads and compilers at once; 0: one a CPU
  std::vector<Status> problems;  ///< that whoever asks has found already, told with all others
  /// Told when nothing is wrong, before anything is read; may be empty.
  std::function<void(const Preparation&)> started;
  /// Models without a tokenizer can be run with token ids only; otherwise the file must be there.
  bool allow_missing_tokenizer = false;
};

}  // namespace tyllm::compile
