// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify_run.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

#include "worker/simulator/compare_logits.h"
#include "worker/simulator/generate.h"
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

/// The last row of what each segment left, of the dies' sum; empty where it has none.
Result<std::vector<std::vector<float>>> LastRows(const LoadedArtifact& loaded,
                                                 const Golden& golden) {
  TYLLM_ASSIGN(Session session, Session::Open(loaded, {}));
  std::vector<std::vector<float>> rows;
  const auto width = static_cast<std::size_t>(golden.width);
  session.Observe([&](std::size_t segment, std::span<const float> numbers) {
    rows.resize(std::max(rows.size(), segment + 1));
    if (numbers.size() >= width) {
      const std::span<const float> last = numbers.last(width);
      rows[segment].assign(last.begin(), last.end());
    }
  });
  TYLLM_TRY(session.Feed(golden.tokens).status());
  return rows;
}

/// Greedy tokens after what the session has read, `logits` being those of its last token.
Result<std::vector<std::int32_t>> GreedyText(Session& session, std::vector<float> logits,
                                             const Golden& golden, double tolerance,
                                             std::optional<std::size_t>& tie) {
  std::vector<std::int32_t> text;
  for (std::size_t i = 0; i < golden.greedy.size(); ++i) {
    const std::int32_t best = BestToken(logits);
    if (!tie && best != golden.greedy[i]) {
      LogitDifference ignored;
      TYLLM_TRY(CompareBest(logits, golden.greedy[i],
                            std::ssize(golden.tokens) + static_cast<std::int64_t>(i) - 1, tolerance,
                            ignored)
                    .Annotate("greedy text"));
      tie = i;  // from here on two texts are as good
    }
    text.push_back(best);
    const bool goes_on = i + 1 < golden.greedy.size() && session.history() < session.max_kv();
    if (!goes_on) {
      break;
    }
    TYLLM_ASSIGN(logits, session.Feed(std::span(&best, 1)));
  }
  return text;
}

Status DifferentBits(const std::vector<float>& found, const std::vector<float>& expected,
                     const Golden& golden, const std::string& name, const std::string& first) {
  const auto at = std::mismatch(found.begin(), found.end(), expected.begin());
  return DataLoss("logit " + std::to_string(at.first - found.begin()) + " of the last token is " +
                  Number(*at.first) + " when " + std::to_string(golden.tokens.size()) +
                  " tokens come as " + name + ", and " + Number(*at.second) +
                  " when they come as " + first +
                  ": they have to be the same bits; compile the model again");
}

}  // namespace

Status CheckSegment(const SegmentDifference& difference, double tolerance) {
  if (difference.relative_error <= tolerance) {
    return OkStatus();
  }
  return DataLoss("segment " + difference.name +
                  (difference.layer < 0 ? "" : " of layer " + std::to_string(difference.layer)) +
                  " is the first that differs from float32: relative error " +
                  Number(difference.relative_error) + " (allowed " + Number(tolerance) +
                  "), cosine " + Number(difference.cosine) + ", largest difference " +
                  Number(difference.max_difference));
}

Status VerifySegments(const LoadedArtifact& loaded, const Golden& golden,
                      const Tolerances& tolerances, VerifyReport& report) {
  TYLLM_ASSIGN(const std::vector<std::vector<float>> found, LastRows(loaded, golden));
  const std::vector<plan::SegmentRun> runs = loaded.programs()[0].dies[0].schedule->Runs();
  if (golden.segment_count() + 1 != std::ssize(runs) || std::ssize(found) != std::ssize(runs) ||
      golden.width != loaded.artifact().shape.width) {
    return DataLoss("the stored reference has " + std::to_string(golden.segment_count()) +
                    " segments of " + std::to_string(golden.width) +
                    " numbers, the programs have " + std::to_string(runs.size() - 1) + " of " +
                    std::to_string(loaded.artifact().shape.width) + "; compile the model again");
  }
  for (std::size_t s = 0; s + 1 < runs.size(); ++s) {
    if (found[s].empty()) {
      continue;
    }
    const SegmentDifference& difference = report.segments.emplace_back(CompareNumbers(
        runs[s].plan->name, runs[s].layer, found[s], golden.Segment(static_cast<std::int64_t>(s))));
    TYLLM_TRY(CheckSegment(
        difference, tolerances.segment + tolerances.roundings * golden.rounding_of_segment(
                                                                    static_cast<std::int64_t>(s))));
  }
  return OkStatus();
}

Status VerifyLogits(const LoadedArtifact& loaded, const Golden& golden,
                    const Tolerances& tolerances, VerifyReport& report) {
  TYLLM_ASSIGN(Session session, Session::Open(loaded, {}));
  const bool every = !PlanChunks(loaded.artifact().buffers.seq_lens, 0, 1, Rows::kEvery,
                                 loaded.artifact().buffers.visual)
                          .empty();
  TYLLM_ASSIGN(const std::vector<float> logits,
               every ? session.FeedEvery(golden.tokens) : session.Feed(golden.tokens));
  const auto tokens = std::ssize(golden.tokens);
  const std::int64_t first = every ? 0 : tokens - 1;
  LogitDifference difference;
  for (std::int64_t t = first; t < tokens; ++t) {
    const auto row =
        std::span(logits).subspan(static_cast<std::size_t>((t - first) * golden.vocabulary),
                                  static_cast<std::size_t>(golden.vocabulary));
    if (t >= tokens - golden.rows) {
      TYLLM_TRY(CompareLogits(row, golden.Row(t - (tokens - golden.rows)), t, tolerances.logit,
                              difference));
    }
    TYLLM_TRY(CompareSummary(row, golden.Summary(t), t, tolerances.logit));
    TYLLM_TRY(CompareBest(row, golden.best[static_cast<std::size_t>(t)], t, tolerances.logit,
                          difference));
  }
  report.rows = difference.rows;
  report.max_difference = difference.max_difference;
  report.kl_divergence =
      difference.kl_sum / static_cast<double>(std::max<std::int64_t>(1, difference.rows));
  report.kl_largest = difference.kl_largest;
  report.best_tokens = difference.best_rows;
  report.ties = difference.best_rows - difference.best_agree;
  return OkStatus();
}

Status VerifyChunkings(const LoadedArtifact& loaded, const Golden& golden,
                       const Tolerances& tolerances, domain::ProgressSink& progress,
                       VerifyReport& report) {
  const auto chunkings = Chunkings(loaded.artifact().buffers.seq_lens);
  std::vector<float> expected;
  std::vector<std::int32_t> text;
  for (std::size_t i = 0; i < chunkings.size(); ++i) {
    progress.Report({"verify", static_cast<std::int64_t>(i + 1),
                     static_cast<std::int64_t>(chunkings.size() + 1), "passes", ""});
    TYLLM_ASSIGN(Session session, Session::Open(loaded, {chunkings[i], 0}));
    TYLLM_ASSIGN(const std::vector<float> logits, session.Feed(golden.tokens));
    const std::string name = Describe(session.chunks());
    std::optional<std::size_t> tie;
    TYLLM_ASSIGN(const std::vector<std::int32_t> greedy,
                 GreedyText(session, logits, golden, tolerances.logit, tie));
    if (i == 0) {
      expected = logits;
      text = greedy;
      report.greedy = static_cast<std::int64_t>(tie.value_or(greedy.size()));
    }
    if (std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)) != 0) {
      return DifferentBits(logits, expected, golden, name, report.chunkings[0]);
    }
    if (greedy != text) {
      return DataLoss("the greedy text after " + name + " is another one than after " +
                      report.chunkings[0] + "; compile the model again");
    }
    report.chunkings.push_back(name);
  }
  return OkStatus();
}

}  // namespace tyllm::simulator
