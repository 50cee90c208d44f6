// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "worker/artifact/layout.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/golden.h"
#include "worker/simulator/session.h"

namespace tyllm::simulator {

namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

std::string Describe(const std::vector<Chunk>& chunks) {
  std::string text;
  for (std::size_t i = 0; i < chunks.size();) {
    std::size_t run = i;
    while (run < chunks.size() && chunks[run].tokens == chunks[i].tokens) {
      ++run;
    }
    text += (text.empty() ? "" : "+") + (run - i > 1 ? std::to_string(run - i) + "x" : "") +
            std::to_string(chunks[i].tokens);
    i = run;
  }
  return text;
}

/// The row of logits against the golden one; `token` is its position, for messages.
Status CompareRow(std::span<const float> found, std::span<const float> expected, std::int64_t token,
                  VerifyReport& report) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(found[i]) - expected[i]);
    if (!(difference <= report.tolerance)) {
      return DataLoss("logit " + std::to_string(i) + " of token " + std::to_string(token) + " is " +
                      Number(found[i]) + ", the float32 evaluation gives " + Number(expected[i]) +
                      ": they differ by " + Number(difference) + ", allowed are " +
                      Number(report.tolerance) + "; `tyllm verify --layers` tells in which layer");
    }
    report.max_difference = std::max(report.max_difference, difference);
  }
  const auto best = static_cast<std::size_t>(BestToken(found));
  const auto wanted = static_cast<std::size_t>(BestToken(expected));
  report.ties += best != wanted ? 1 : 0;
  ++report.rows;
  return OkStatus();
}

/// Every golden row, from programs that give every token's logits where there are such.
Status CompareWithGolden(const LoadedArtifact& loaded, const Golden& golden, VerifyReport& report) {
  TYLLM_ASSIGN(Session session, Session::Open(loaded, {}));
  const std::int64_t first = std::ssize(golden.tokens) - golden.rows;
  if (PlanChunks(loaded.artifact().buffers.seq_lens, 0, 1, Rows::kEvery).empty()) {
    TYLLM_ASSIGN(const std::vector<float> last, session.Feed(golden.tokens));
    return CompareRow(last, golden.Row(golden.rows - 1), std::ssize(golden.tokens) - 1, report);
  }
  const std::span<const std::int32_t> tokens(golden.tokens);
  if (first > 0) {
    TYLLM_TRY(session.Feed(tokens.first(static_cast<std::size_t>(first))).status());
  }
  TYLLM_ASSIGN(const std::vector<float> logits,
               session.FeedEvery(tokens.subspan(static_cast<std::size_t>(first))));
  for (std::int64_t r = 0; r < golden.rows; ++r) {
    const auto row = std::span(logits).subspan(static_cast<std::size_t>(r * golden.vocabulary),
                                               static_cast<std::size_t>(golden.vocabulary));
    TYLLM_TRY(CompareRow(row, golden.Row(r), first + r, report));
  }
  return OkStatus();
}

/// All buckets together, then each one alone.
std::vector<std::vector<std::int64_t>> Chunkings(const std::vector<std::int64_t>& buckets) {
  std::vector<std::vector<std::int64_t>> chunkings{buckets};
  for (const std::int64_t bucket : buckets) {
    if (buckets.size() > 1) {
      chunkings.push_back({bucket});
    }
  }
  return chunkings;
}

Status CompareChunkings(const LoadedArtifact& loaded, const Golden& golden,
                        domain::ProgressSink& progress, VerifyReport& report) {
  const auto chunkings = Chunkings(loaded.artifact().buffers.seq_lens);
  std::vector<float> expected;
  for (std::size_t i = 0; i < chunkings.size(); ++i) {
    progress.Report({"verify", static_cast<std::int64_t>(i + 1),
                     static_cast<std::int64_t>(chunkings.size() + 1), "passes", ""});
    TYLLM_ASSIGN(Session session, Session::Open(loaded, {chunkings[i], 0}));
    TYLLM_ASSIGN(const std::vector<float> logits, session.Feed(golden.tokens));
    const std::string name = Describe(session.chunks());
    if (i == 0) {
      TYLLM_TRY(
          CompareRow(logits, golden.Row(golden.rows - 1), std::ssize(golden.tokens) - 1, report));
      expected = logits;
    }
    if (std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)) != 0) {
      const auto at = std::mismatch(logits.begin(), logits.end(), expected.begin());
      return DataLoss("logit " + std::to_string(at.first - logits.begin()) +
                      " of the last token is " + Number(*at.first) + " when " +
                      std::to_string(golden.tokens.size()) + " tokens come as " + name + ", and " +
                      Number(*at.second) + " when they come as " + report.chunkings[0] +
                      ": they have to be the same bits; compile the model again");
    }
    report.chunkings.push_back(name);
  }
  return OkStatus();
}

/// Says where the trouble begins, when the segments were compared.
Status BlameSegment(const Status& status, const VerifyReport& report) {
  constexpr double kSuspicious = 1e-2;  // rounding stays an order of magnitude below
  const auto bad =
      std::find_if(report.segments.begin(), report.segments.end(),
                   [](const SegmentDifference& s) { return !(s.relative_error <= kSuspicious); });
  if (status.ok() || bad == report.segments.end()) {
    return status;
  }
  return status.Annotate("segment " + bad->name +
                         (bad->layer < 0 ? "" : " of layer " + std::to_string(bad->layer)) +
                         " is the first to differ from the interpreter (relative error " +
                         Number(bad->relative_error) + ")");
}

Result<Golden> GoldenOf(const artifact::Artifact& artifact, const VerifyRequest& request) {
  TYLLM_ASSIGN(Golden golden,
               ReadGolden(artifact.directory / artifact::kGoldenFile, artifact.shape.vocabulary));
  return request.model ? EvaluateGolden(*request.model, golden.tokens, golden.rows)
                       : Result<Golden>(std::move(golden));
}

}  // namespace

Result<VerifyReport> Verify(const VerifyRequest& request, domain::ProgressSink& progress) {
  TYLLM_ASSIGN(const LoadedArtifact loaded, [&]() -> Result<LoadedArtifact> {
    TYLLM_ASSIGN(const artifact::Artifact artifact, artifact::OpenArtifact(request.directory));
    if (request.check_files) {
      TYLLM_TRY(artifact::CheckFiles(artifact, progress));
    }
    return LoadedArtifact::Load(request.directory);
  }());
  const artifact::Artifact& artifact = loaded.artifact();
  VerifyReport report;
  report.directory = artifact.directory.string();
  report.dies = loaded.dies();
  report.tolerance = request.tolerance;
  report.files = std::ssize(artifact.manifest.files);
  for (const artifact::FileEntry& file : artifact.manifest.files) {
    report.bytes += static_cast<std::int64_t>(file.bytes);
  }
  TYLLM_ASSIGN(const Golden golden, GoldenOf(artifact, request));
  if (golden.vocabulary != artifact.shape.vocabulary) {
    return InvalidArgument(request.model->string() + " has a vocabulary of " +
                           std::to_string(golden.vocabulary) + ", the compiled model one of " +
                           std::to_string(artifact.shape.vocabulary) +
                           "; give the model that was compiled");
  }
  report.tokens = std::ssize(golden.tokens);
  if (request.layers) {
    TYLLM_ASSIGN(report.segments, CompareSegments(request.directory, golden.tokens));
  }
  TYLLM_TRY(BlameSegment(CompareWithGolden(loaded, golden, report), report));
  TYLLM_TRY(CompareChunkings(loaded, golden, progress, report));
  progress.Report({"verify", 1, 1, "passes", ""});
  return report;
}

}  // namespace tyllm::simulator
