// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify_visual.h"

#include <cstring>

#include "worker/artifact/visual_layout.h"
#include "worker/simulator/compare_logits.h"
#include "worker/simulator/greedy_text.h"
#include "worker/simulator/loaded_tower.h"
#include "worker/simulator/session.h"
#include "worker/simulator/verify_run.h"
#include "worker/simulator/visual_golden.h"

namespace tyllm::simulator {

namespace {

Status CheckLevel(const std::string& name, const tensor::Matrix& found,
                  const tensor::Matrix& expected, const Tolerances& tolerances,
                  VerifyReport& report) {
  const auto all = [](const tensor::Matrix& rows) {
    return std::span(rows.data(), static_cast<std::size_t>(rows.rows() * rows.columns()));
  };
  const SegmentDifference difference =
      report.segments.emplace_back(CompareNumbers(name, -1, all(found), all(expected)));
  return CheckSegment(difference, tolerances.segment);
}

Status CheckFeatures(const forward::VisualFeatures& found, const forward::VisualFeatures& expected,
                     const Tolerances& tolerances, VerifyReport& report) {
  TYLLM_TRY(CheckLevel("features", found.tokens, expected.tokens, tolerances, report));
  for (std::size_t level = 0; level < found.deepstack.size(); ++level) {
    TYLLM_TRY(CheckLevel("deepstack." + std::to_string(level), found.deepstack[level],
                         expected.deepstack[level], tolerances, report));
  }
  return OkStatus();
}

/// How a session reads the prompt.
struct Chunking {
  std::vector<std::int64_t> buckets;
  std::int64_t first = 0;
};

/// All buckets together, then each one above 1 alone. Where a prompt does not fill one, half of it
/// is read first, so that both kinds of programs have images with more than one token.
std::vector<Chunking> Chunkings(const std::vector<std::int64_t>& buckets, std::int64_t tokens,
                                Engine engine) {
  std::vector<Chunking> chunkings{{buckets}};
  if (engine == Engine::kInterpreter) {
    return chunkings;
  }
  for (const std::int64_t bucket : buckets) {
    if (bucket > 1 && bucket + 1 < tokens && buckets.size() > 1) {
      chunkings.push_back({{1, bucket}});
    } else if (bucket > 1) {
      chunkings.push_back({{bucket}, tokens / 2});
    }
  }
  return chunkings;
}

/// The prompt and its answer in all chunkings, together.
Status VerifyAnswers(const LoadedArtifact& loaded, const VisualGolden& golden,
                     const SeenSequence& seen, const Tolerances& tolerances,
                     domain::ProgressSink& progress, VerifyReport& report) {
  const auto tokens = std::ssize(golden.tokens);
  const auto chunkings = Chunkings(loaded.artifact().buffers.seq_lens, tokens, loaded.engine());
  std::vector<Session> sessions;
  std::vector<Session::Feeding> feedings;
  for (const Chunking& chunking : chunkings) {
    TYLLM_ASSIGN(Session session, Session::Open(loaded, {chunking.buckets, 0, Pages::kSmall}));
    session.See(seen);
    sessions.push_back(std::move(session));
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    feedings.push_back({&sessions[i], golden.tokens, Rows::kLast, chunkings[i].first});
  }
  const std::int64_t segments = std::ssize(loaded.programs()[0].dies[0].schedule->Runs());
  TYLLM_ASSIGN(const std::vector<std::vector<float>> logits,
               Session::FeedTogether(feedings, [&](std::size_t done) {
                 progress.Report(
                     {"verify_visual", static_cast<std::int64_t>(done), segments, "segments", ""});
               }));
  LogitDifference difference;
  TYLLM_TRY(CompareLogits(logits[0], golden.Row(golden.logits.rows() - 1), tokens - 1,
                          tolerances.logit, difference)
                .Annotate("prompt with an image"));
  report.visual_max_difference = difference.max_difference;
  std::vector<GreedyText> texts;
  for (const std::vector<float>& of_last : logits) {
    texts.emplace_back(ExpectedText{golden.greedy, tokens, tolerances.logit}, of_last);
  }
  TYLLM_TRY(ContinueTogether(sessions, texts).Annotate("answer about an image"));
  report.visual_greedy = texts.front().agreed();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].tokens() != texts[0].tokens() ||
        std::memcmp(logits[i].data(), logits[0].data(), logits[0].size() * sizeof(float)) != 0) {
      return DataLoss("a prompt with an image gives other logits in chunks of " +
                      std::to_string(chunkings[i].buckets.back()) +
                      " tokens than in all chunks: they have to be the same bits; compile the "
                      "model again");
    }
  }
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
  TYLLM_ASSIGN(LoadedTower tower, LoadedTower::Load(folder, 0, loaded.engine()));
  TYLLM_ASSIGN(VisualGolden golden,
               ReadVisualGolden(folder / artifact::kVisualGoldenFile, tower.config(), tower.shape(),
                                loaded.artifact().shape.vocabulary));
  if (model) {
    TYLLM_ASSIGN(const forward::Model opened, forward::OpenModel(*model));
    TYLLM_ASSIGN(const graph::Tower graph, forward::OpenTower(opened));
    const std::unique_ptr<tensor::Backend> backend = tensor::MakeSteadyBackend(0);
    TYLLM_TRY(ComputeVisualGolden(opened, graph, golden.logits.rows(), std::ssize(golden.greedy),
                                  *backend, progress, golden));
  }
  // Where the tower's program cannot be run, the rest is run with what must come out of it.
  forward::VisualFeatures features = golden.features;
  if (loaded.engine() == Engine::kCompiled) {
    TYLLM_ASSIGN(features, tower.Run(golden.pixels));
    TYLLM_TRY(CheckFeatures(features, golden.features, tolerances, report));
  }
  TYLLM_ASSIGN(const SeenSequence seen,
               SeenSequence::Make(tower.shape(), golden.tokens, std::span(&golden.item, 1),
                                  std::span(&features, 1)));
  report.visual_tokens = std::ssize(golden.tokens);
  return VerifyAnswers(loaded, golden, seen, tolerances, progress, report);
}

}  // namespace tyllm::simulator
