// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile.h"

#include <numeric>

#include "common/base/staging.h"
#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"
#include "worker/compile/assemble.h"
#include "worker/compile/equal_objects.h"
#include "worker/compile/finished_params.h"
#include "worker/compile/proof.h"

namespace tyllm::compile {
namespace {

/// Adds what is around the dies, runs the result, and gives it its name.
Result<CompileSummary> Finish(FileSystem& files, const CompileRequest& request,
                              const Preparation& preparation, const Path& final_path,
                              DieDigests digests, Staging& staging,
                              domain::ProgressSink& progress) {
  TYLLM_TRY(AssembleInto(files, preparation, digests, request.jobs, staging.path(),
                         staging.scratch(), progress));
  CompileSummary summary;
  summary.directory = final_path;
  TYLLM_ASSIGN(const artifact::Artifact artifact, artifact::OpenArtifact(staging.path()));
  TYLLM_TRY(LinkEqualObjects(files, staging.path(), artifact.manifest.files));
  summary.bytes = BytesOnDisk(staging.path(), artifact.manifest.files);
  TYLLM_ASSIGN(summary.verified, Prove(files, staging.path(), progress));
  TYLLM_TRY(staging.Commit());
  return summary;
}

Result<Staging> OpenStaging(FileSystem& files, const Path& out, const Preparation& preparation) {
  return Staging::Open(files, out, preparation.Key(), Staging::Unfinished::kKeep,
                       FinishedParams::kFolder);
}

Path FinalPath(const CompileRequest& request, const Path& out) {
  return out / artifact::DieFolder(request.options.dies);
}

}  // namespace

Result<CompileSummary> Compile(FileSystem& files, const CompileRequest& request, const Path& out,
                               domain::ProgressSink& progress) {
  const Path final_path = FinalPath(request, out);
  TYLLM_ASSIGN(const Preparation preparation,
               Prepare(request, NeedsCompiler::kYes, progress, {&files, final_path}));
  TYLLM_ASSIGN(Staging staging, OpenStaging(files, final_path, preparation));
  ThreadPool pool(request.jobs);
  std::vector<std::int64_t> dies(static_cast<std::size_t>(preparation.options.dies));
  std::iota(dies.begin(), dies.end(), std::int64_t{0});
  TYLLM_ASSIGN(const BuildCounts counts,
               BuildDies(files, request, preparation, dies, staging.path(), staging.scratch(), pool,
                         progress));
  TYLLM_ASSIGN(CompileSummary summary, Finish(files, request, preparation, final_path,
                                              DieDigests::kKnown, staging, progress));
  summary.counts = counts;
  return summary;
}

Result<BuildCounts> CompileDies(FileSystem& files, const CompileRequest& request,
                                const std::vector<std::int64_t>& dies, const Path& out,
                                domain::ProgressSink& progress) {
  TYLLM_ASSIGN(const Preparation preparation,
               Prepare(request, NeedsCompiler::kYes, progress, {&files, out, dies}));
  for (const std::int64_t die : dies) {
    if (die < 0 || die >= preparation.options.dies) {
      return InvalidArgument("die " + std::to_string(die) + " was asked for, expected 0 to " +
                             std::to_string(preparation.options.dies - 1));
    }
  }
  TYLLM_ASSIGN(Staging staging, OpenStaging(files, out, preparation));
  ThreadPool pool(request.jobs);
  TYLLM_ASSIGN(const BuildCounts counts,
               BuildDies(files, request, preparation, dies, staging.path(), staging.scratch(), pool,
                         progress));
  TYLLM_TRY(staging.Commit());
  return counts;
}

Result<CompileSummary> Assemble(FileSystem& files, const CompileRequest& request,
                                const std::vector<Path>& parts, const Path& out,
                                domain::ProgressSink& progress) {
  const Path final_path = FinalPath(request, out);
  TYLLM_ASSIGN(const Preparation preparation,
               Prepare(request, NeedsCompiler::kNo, progress, {nullptr, final_path}));
  TYLLM_ASSIGN(Staging staging, OpenStaging(files, final_path, preparation));
  for (const Path& part : parts) {
    TYLLM_TRY(Adopt(files, part, staging.path()));
  }
  return Finish(files, request, preparation, final_path, DieDigests::kToBeChecked, staging,
                progress);
}

}  // namespace tyllm::compile
