// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/parallel.h"
#include "worker/compile/preparation.h"

namespace tyllm::compile {

/// How much of a build had to be done.
struct BuildCounts {
  /// Distinct sources that the compiler ran for.
  std::int64_t built() const { return interpreted ? 0 : distinct_sources - cached; }

  std::int64_t programs = 0;          ///< asked for
  std::int64_t programs_kept = 0;     ///< finished by an earlier run
  std::int64_t distinct_sources = 0;  ///< of the others
  std::int64_t cached = 0;            ///< of the distinct sources, whose objects were in the cache
  bool interpreted = false;           ///< there is no compiler: sources stand for programs
  std::int64_t params_written = 0;    ///< common_die<d>.params; the others were there
};

/// Everything of some dies below `root` ("batch_1/..."): parameters, programs and their records.
/// What is already there with a record that fits is kept. `scratch` is for the compiler; all file
/// names become visible only with complete files.
Result<BuildCounts> BuildDies(FileSystem& files, const CompileRequest& request,
                              const Preparation& preparation, const std::vector<std::int64_t>& dies,
                              const Path& root, const Path& scratch, ThreadPool& pool,
                              domain::ProgressSink& progress);

}  // namespace tyllm::compile
