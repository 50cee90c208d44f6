// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify_visual.h"

#include <algorithm>
#include <cstring>

#include "worker/artifact/visual_layout.h"
#include "worker/simulator/chunks.h"
#include "worker/simulator/compare_logits.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/loaded_tower.h"
#include "worker/simulator/session.h"
#include "worker/simulator/verify_run.h"
#include "worker/simulator/visual_golden.h"

namespace tyllm::simulator {

namespace {

Status CheckFeatures(const std::string& name, const tensor::Matrix& found,
                     const tensor::Matrix& expected, const Tolerances& tolerances,
                     VerifyReport& report) {
  const auto all = [](const tensor::Matrix& rows) {
    return std::span(rows.data(), static_cast<std::size_t>(rows.rows() * rows.columns()));
  };
  const SegmentDifference difference =
      report.segments.emplace_back(CompareNumbers(name, -1, all(found), all(expected)));
  return CheckSegment(difference, tolerances.segment);
}

/// One chunking of the prompt: logits of its last token, and the answer.
class Answer {
 public:
  Answer(const VisualGolden& golden, const SeenSequence& seen, const Tolerances& tolerances)
      : golden_(golden), seen_(seen), tolerances_(tolerances) {}

  Status Give(Session& session, VerifyReport& report) {
    session.See(seen_);
    TYLLM_ASSIGN(logits, session.Feed(golden_.tokens));
    const auto tokens = std::ssize(golden_.tokens);
    LogitDifference difference;
    TYLLM_TRY(CompareLogits(logits, golden_.Row(golden_.logits.rows() - 1), tokens - 1,
                            tolerances_.logit, difference)
                  .Annotate("prompt with an image"));
    report.visual_max_difference =
        std::max(report.visual_max_difference, difference.max_difference);
    std::vector<float> next = logits;
    bool tie = false;
    for (std::size_t i = 0; i < golden_.greedy.size(); ++i) {
      const std::int32_t best = BestToken(next);
      if (!tie && best != golden_.greedy[i]) {
        TYLLM_TRY(CompareBest(next, golden_.greedy[i], tokens + static_cast<std::int64_t>(i) - 1,
                              tolerances_.logit, difference)
                      .Annotate("answer about an image"));
        tie = true;  // from here on two texts are as good
      }
      text.push_back(best);
      agreed += tie ? 0 : 1;
      if (i + 1 == golden_.greedy.size() || session.history() == session.max_kv()) {
        break;
      }
      TYLLM_ASSIGN(next, session.Feed(std::span(&best, 1)));
    }
    return OkStatus();
  }

  std::vector<float> logits;
  std::vector<std::int32_t> text;
  std::int64_t agreed = 0;  ///< tokens that are the reference's

 private:
  const VisualGolden& golden_;
  const SeenSequence& seen_;
  const Tolerances& tolerances_;
};

/// All buckets together, then each one above 1 alone.
std::vector<std::vector<std::int64_t>> Chunkings(const std::vector<std::int64_t>& buckets) {
  std::vector<std::vector<std::int64_t>> chunkings{buckets};
  for (const std::int64_t bucket : buckets) {
    if (bucket > 1 && buckets.size() > 1) {
      chunkings.push_back({1, bucket});
    }
  }
  return chunkings;
}

Status VerifyAnswers(const LoadedArtifact& loaded, const VisualGolden& golden,
                     const SeenSequence& seen, const Tolerances& tolerances,
                     domain::ProgressSink& progress, VerifyReport& report) {
  const auto chunkings = Chunkings(loaded.artifact().buffers.seq_lens);
  std::optional<Answer> first;
  for (std::size_t i = 0; i < chunkings.size(); ++i) {
    progress.Report(
        {"verify_visual", static_cast<std::int64_t>(i), std::ssize(chunkings), "passes", ""});
    TYLLM_ASSIGN(Session session, Session::Open(loaded, {chunkings[i], 0}));
    Answer answer(golden, seen, tolerances);
    TYLLM_TRY(answer.Give(session, report));
    if (!first) {
      first.emplace(std::move(answer));
      report.visual_greedy = first->agreed;
      continue;
    }
    if (first->text != answer.text || std::memcmp(first->logits.data(), answer.logits.data(),
                                                  answer.logits.size() * sizeof(float)) != 0) {
      return DataLoss("a prompt with an image gives other logits in chunks of " +
                      std::to_string(chunkings[i].back()) +
                      " tokens than in all chunks: they have to be the same bits; compile the "
                      "model again");
    }
  }
  progress.Report({"verify_visual", std::ssize(chunkings), std::ssize(chunkings), "passes", ""});
  return OkStatus();
}

}  // namespace

Status VerifyVisual(const LoadedArtifact& loaded, const std::optional<Path>& model,
                    const Tolerances& tolerances, domain::ProgressSink& progress,
                    VerifyReport& report) {
  if (loaded.vision() == nullptr) {
    return OkStatus();
  }
  const Path& folder = loaded.artifact().directory;
  TYLLM_ASSIGN(LoadedTower tower, LoadedTower::Load(folder));
  TYLLM_ASSIGN(VisualGolden golden,
               ReadVisualGolden(folder / artifact::kVisualGoldenFile, tower.config(), tower.shape(),
                                loaded.artifact().shape.vocabulary));
  if (model) {
    TYLLM_ASSIGN(const forward::Model opened, forward::OpenModel(*model));
    TYLLM_ASSIGN(const graph::Tower graph, forward::OpenTower(opened));
    TYLLM_TRY(ComputeVisualGolden(opened, graph, golden.logits.rows(), std::ssize(golden.greedy), 0,
                                  progress, golden));
  }
  TYLLM_ASSIGN(const forward::VisualFeatures features, tower.Run(golden.pixels));
  TYLLM_TRY(CheckFeatures("features", features.tokens, golden.features.tokens, tolerances, report));
  for (std::size_t level = 0; level < features.deepstack.size(); ++level) {
    TYLLM_TRY(CheckFeatures("deepstack." + std::to_string(level), features.deepstack[level],
                            golden.features.deepstack[level], tolerances, report));
  }
  TYLLM_ASSIGN(const SeenSequence seen,
               SeenSequence::Make(tower.shape(), golden.tokens, std::span(&golden.item, 1),
                                  std::span(&features, 1)));
  report.visual_tokens = std::ssize(golden.tokens);
  return VerifyAnswers(loaded, golden, seen, tolerances, progress, report);
}

}  // namespace tyllm::simulator
