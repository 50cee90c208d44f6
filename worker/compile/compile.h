// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/domain/progress.h"
#include "worker/compile/die_build.h"
#include "worker/compile/request.h"
#include "worker/simulator/verify.h"

namespace tyllm::compile {

/// What a compilation made.
struct CompileSummary {
  Path directory;  ///< the "<N>die" folder
  BuildCounts counts;
  std::uint64_t bytes = 0;  ///< of all files, programs of several dies that are the same once
  /// The run of the finished directory on the simulator; none of what the vendor's toolchain made.
  std::optional<simulator::VerifyReport> verified;
};

/// All dies and everything around them into `out`/<N>die, which must not exist or be empty; then
/// what was written is run on the simulator and compared with its goldens. A compilation that was
/// killed or failed goes on where it was when it is asked for again.
Result<CompileSummary> Compile(FileSystem& files, const CompileRequest& request, const Path& out,
                               domain::ProgressSink& progress);

/// Only the parameters and programs of some dies into folder `out`, for Assemble. Resumes likewise.
Result<BuildCounts> CompileDies(FileSystem& files, const CompileRequest& request,
                                const std::vector<std::int64_t>& dies, const Path& out,
                                domain::ProgressSink& progress);

/// Puts folders that CompileDies made for the same request together as `out`/<N>die, and proves it
/// as Compile does. No compiler is needed.
Result<CompileSummary> Assemble(FileSystem& files, const CompileRequest& request,
                                const std::vector<Path>& parts, const Path& out,
                                domain::ProgressSink& progress);

}  // namespace tyllm::compile
