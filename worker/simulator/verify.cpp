// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify.h"

#include <algorithm>

#include "worker/artifact/layout.h"
#include "worker/simulator/golden.h"
#include "worker/simulator/reference.h"
#include "worker/simulator/target_cpu.h"
#include "worker/simulator/verify_run.h"
#include "worker/simulator/verify_visual.h"

namespace tyllm::simulator {

namespace {

/// What must come out: as it is stored, or computed from the model.
Result<Golden> GoldenOf(const artifact::Artifact& artifact, const VerifyRequest& request,
                        domain::ProgressSink& progress) {
  TYLLM_ASSIGN(Golden golden,
               ReadGolden(artifact.directory / artifact::kGoldenFile, artifact.shape.vocabulary));
  if (!request.model) {
    return golden;
  }
  TYLLM_ASSIGN(const forward::Model model, forward::OpenModel(*request.model));
  if (model.shape().vocabulary != artifact.shape.vocabulary ||
      model.shape().layers != artifact.shape.layers ||
      model.shape().width != artifact.shape.width) {
    return InvalidArgument(
        request.model->string() + " has " + std::to_string(model.shape().layers) +
        " layers of width " + std::to_string(model.shape().width) + " and a vocabulary of " +
        std::to_string(model.shape().vocabulary) + ", the compiled model " +
        std::to_string(artifact.shape.layers) + ", " + std::to_string(artifact.shape.width) +
        " and " + std::to_string(artifact.shape.vocabulary) + "; give the model that was compiled");
  }
  ThreadPool pool;
  const artifact::BufferConfig& buffers = artifact.buffers;
  return RunReference(
      model,
      {golden.tokens,
       golden.rows,
       std::ssize(golden.greedy),
       {buffers.int8_head, buffers.activation_bits, buffers.attention_group, buffers.mlp_group}},
      pool, progress);
}

/// Of all tokens and the logits too, where golden.rounding is about the last token.
double LargestOfSegments(const Golden& golden) {
  double largest = 0;
  for (std::int64_t s = 0; s < golden.segment_count(); ++s) {
    largest = std::max(largest, golden.rounding_of_segment(s));
  }
  return largest;
}

}  // namespace

Tolerances TolerancesFor(const domain::CompileOptions& options) {
  Tolerances tolerances;
  if (options.activations == domain::ActivationNumbers::kInt8) {
    tolerances.roundings = 2;
  } else if (options.head == domain::HeadNumbers::kInt8) {
    tolerances.roundings = 1;
  }
  return tolerances;
}

Result<VerifyReport> Verify(const VerifyRequest& request, domain::ProgressSink& progress) {
  TYLLM_ASSIGN(const LoadedArtifact loaded, [&]() -> Result<LoadedArtifact> {
    TYLLM_ASSIGN(const artifact::Artifact artifact, artifact::OpenArtifact(request.directory));
    if (request.check_files) {
      TYLLM_TRY(artifact::CheckFiles(artifact, progress));
    }
    const bool foreign =
        HasPrograms(artifact) && !CheckTargetCpu(artifact.manifest.toolchain.target_cpu).ok();
    return LoadedArtifact::Load(request.directory,
                                foreign ? Engine::kInterpreter : Engine::kCompiled);
  }());
  const artifact::Artifact& artifact = loaded.artifact();
  VerifyReport report;
  report.directory = artifact.directory.string();
  report.engine = kEngineNames.Name(loaded.engine());
  report.dies = loaded.dies();
  report.files = std::ssize(artifact.manifest.files);
  for (const artifact::FileEntry& file : artifact.manifest.files) {
    report.bytes += static_cast<std::int64_t>(file.bytes);
  }
  TYLLM_ASSIGN(const Golden golden, GoldenOf(artifact, request, progress));
  report.tokens = std::ssize(golden.tokens);
  Tolerances tolerances = TolerancesFor(artifact.manifest.options);
  tolerances.logit = request.logit_tolerance > 0
                         ? request.logit_tolerance
                         : tolerances.logit + tolerances.roundings * golden.rounding_of_logits();
  report.tolerance = tolerances.logit;
  if (request.layers) {
    TYLLM_ASSIGN(report.segments, CompareSegments(request.directory, golden.tokens));
    for (const SegmentDifference& segment : report.segments) {
      TYLLM_TRY(CheckSegment(
          segment, tolerances.segment + tolerances.roundings * LargestOfSegments(golden)));
    }
  }
  TYLLM_ASSIGN(VerifyRun run, VerifyRun::Read(loaded, golden, progress));
  if (!request.layers) {
    TYLLM_TRY(run.CheckSegments(tolerances, report));
  }
  TYLLM_TRY(run.CheckLogits(tolerances, report));
  TYLLM_TRY(run.CheckChunkings(tolerances, report));
  TYLLM_TRY(VerifyVisual(loaded, request.model, tolerances, progress, report));
  progress.Report({"verify", 1, 1, "passes", ""});
  return report;
}

}  // namespace tyllm::simulator
