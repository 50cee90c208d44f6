// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "common/base/staging.h"
#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"
#include "worker/compile/assemble.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::compile {
namespace {

/// Three digits: what is said of a measurement, and the same on every machine.
double Rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return std::strtod(text, nullptr);
}

/// The report travels with what it is about: verification.json, and its sum in the manifest.
Status AddReport(FileSystem& files, simulator::VerifyReport report, const Path& root) {
  report.directory.clear();
  report.max_difference = Rounded(report.max_difference);
  report.kl_divergence = Rounded(report.kl_divergence);
  report.kl_largest = Rounded(report.kl_largest);
  report.visual_max_difference = Rounded(report.visual_max_difference);
  for (simulator::SegmentDifference& segment : report.segments) {
    segment.max_difference = Rounded(segment.max_difference);
    segment.relative_error = Rounded(segment.relative_error);
    segment.cosine = Rounded(segment.cosine);
  }
  TYLLM_TRY(WriteFileAtomically(files, root / artifact::kVerificationFile,
                                format::PrettyJson(format::ToJson(report))));
  TYLLM_ASSIGN(artifact::Manifest manifest, artifact::ReadManifest(root / artifact::kManifestFile));
  manifest.measured = {report.rows, report.kl_divergence, Rounded(report.top1_agreement()),
                       report.max_difference};
  TYLLM_ASSIGN(artifact::FileEntry entry,
               artifact::DescribeFile(root, artifact::kVerificationFile));
  std::erase_if(manifest.files, [&](const artifact::FileEntry& f) { return f.path == entry.path; });
  manifest.files.push_back(std::move(entry));
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const artifact::FileEntry& a, const artifact::FileEntry& b) {
              return Path(a.path) < Path(b.path);
            });
  return artifact::WriteManifest(files, root, std::move(manifest));
}

/// Runs what was written. Work that fails here is not worth resuming.
Result<std::optional<simulator::VerifyReport>> Prove(FileSystem& files,
                                                     const Preparation& preparation,
                                                     const Staging& staging,
                                                     domain::ProgressSink& progress) {
  const bool compiled = preparation.compiler.program != kNoCompiler;
  if (compiled && !simulator::CheckTargetCpu(preparation.options.target_cpu).ok()) {
    return std::optional<simulator::VerifyReport>();
  }
  simulator::VerifyRequest request;
  request.directory = staging.path();
  request.check_files = false;  // the manifest was taken from them a moment ago
  Result<simulator::VerifyReport> report = simulator::Verify(request, progress);
  if (!report.ok()) {
    TYLLM_TRY(files.RemoveAll(staging.path()));
    return report.status().Annotate("the compiled model was run and is not right");
  }
  TYLLM_TRY(AddReport(files, *report, staging.path()));
  return std::optional<simulator::VerifyReport>(*std::move(report));
}

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
  for (const artifact::FileEntry& file : artifact.manifest.files) {
    summary.bytes += file.bytes;
  }
  TYLLM_ASSIGN(summary.verified, Prove(files, preparation, staging, progress));
  TYLLM_TRY(staging.Commit());
  return summary;
}

Path FinalPath(const CompileRequest& request, const Path& out) {
  return out / artifact::DieFolder(request.options.dies);
}

}  // namespace

Result<CompileSummary> Compile(FileSystem& files, const CompileRequest& request, const Path& out,
                               domain::ProgressSink& progress) {
  TYLLM_ASSIGN(const Preparation preparation, Prepare(request, NeedsCompiler::kYes, progress));
  const Path final_path = FinalPath(request, out);
  TYLLM_ASSIGN(Staging staging, Staging::Open(files, final_path, preparation.Key()));
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
  TYLLM_ASSIGN(const Preparation preparation, Prepare(request, NeedsCompiler::kYes, progress));
  for (const std::int64_t die : dies) {
    if (die < 0 || die >= preparation.options.dies) {
      return InvalidArgument("die " + std::to_string(die) + " was asked for, expected 0 to " +
                             std::to_string(preparation.options.dies - 1));
    }
  }
  TYLLM_ASSIGN(Staging staging, Staging::Open(files, out, preparation.Key()));
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
  TYLLM_ASSIGN(const Preparation preparation, Prepare(request, NeedsCompiler::kNo, progress));
  const Path final_path = FinalPath(request, out);
  TYLLM_ASSIGN(Staging staging, Staging::Open(files, final_path, preparation.Key()));
  for (const Path& part : parts) {
    TYLLM_TRY(Adopt(files, part, staging.path()));
  }
  return Finish(files, request, preparation, final_path, DieDigests::kToBeChecked, staging,
                progress);
}

}  // namespace tyllm::compile
