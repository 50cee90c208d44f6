// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/verify_run.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "worker/simulator/compare_logits.h"
#include "worker/simulator/greedy_text.h"

namespace tyllm::simulator {

namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

/// Adds the programs that a session called with more than one token.
void AddCalled(const Session& session, std::vector<plan::ProgramId>& called) {
  for (const Chunk& chunk : session.chunks()) {
    if (chunk.tokens > 1) {
      called.push_back(chunk.program);
    }
  }
}

/// All buckets together, then each one alone; the interpreter runs all programs alike.
std::vector<std::vector<std::int64_t>> Chunkings(const std::vector<std::int64_t>& buckets,
                                                 Engine engine) {
  std::vector<std::vector<std::int64_t>> chunkings{buckets};
  for (const std::int64_t bucket : buckets) {
    if (buckets.size() > 1 && engine == Engine::kCompiled) {
      chunkings.push_back({bucket});
    }
  }
  return chunkings;
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

Result<VerifyRun> VerifyRun::Read(const LoadedArtifact& loaded, const Golden& golden,
                                  domain::ProgressSink& progress) {
  const artifact::BufferConfig& buffers = loaded.artifact().buffers;
  VerifyRun run(loaded, golden);
  run.every_ = !PlanChunks(buffers.seq_lens, 0, 1, Rows::kEvery, buffers.visual).empty();
  for (const std::vector<std::int64_t>& chunking : Chunkings(buffers.seq_lens, loaded.engine())) {
    TYLLM_ASSIGN(Session session, Session::Open(loaded, {chunking, 0, Pages::kSmall}));
    run.sessions_.push_back(std::move(session));
  }
  const auto width = static_cast<std::size_t>(golden.width);
  std::vector<std::vector<float>>& left = run.segments_;
  run.sessions_.front().Observe([&](std::size_t segment, std::span<const float> numbers) {
    left.resize(std::max(left.size(), segment + 1));
    if (numbers.size() >= width) {
      const std::span<const float> last = numbers.last(width);
      left[segment].assign(last.begin(), last.end());
    }
  });
  TYLLM_ASSIGN(Session rows, Session::Open(loaded, {{}, 0, Pages::kSmall}));
  std::vector<Session::Feeding> feedings;
  for (Session& session : run.sessions_) {
    feedings.push_back({&session, golden.tokens, Rows::kLast});
  }
  if (run.every_) {
    feedings.push_back({&rows, golden.tokens, Rows::kEvery});
  }
  TYLLM_ASSIGN(run.filled_, FilledCalls::Open(loaded, golden, run.every_));
  std::ranges::copy(run.filled_->Feedings(), std::back_inserter(feedings));
  const std::int64_t segments = std::ssize(loaded.programs()[0].dies[0].schedule->Runs());
  TYLLM_ASSIGN(
      run.logits_, Session::FeedTogether(feedings, [&](std::size_t done) {
        progress.Report({"verify", static_cast<std::int64_t>(done), segments, "segments", ""});
      }));
  run.sessions_.front().Observe({});
  std::vector<plan::ProgramId> called;
  for (const Session::Feeding& feeding : feedings) {
    AddCalled(*feeding.session, called);
  }
  TYLLM_TRY(run.CheckEveryProgramRan(called));
  return run;
}

Status VerifyRun::CheckSegments(const Tolerances& tolerances, VerifyReport& report) const {
  const std::vector<plan::SegmentRun> runs = loaded_->programs()[0].dies[0].schedule->Runs();
  if (golden_->segment_count() + 1 != std::ssize(runs) ||
      std::ssize(segments_) != std::ssize(runs) ||
      golden_->width != loaded_->artifact().shape.width) {
    return DataLoss("the stored reference has " + std::to_string(golden_->segment_count()) +
                    " segments of " + std::to_string(golden_->width) +
                    " numbers, the programs have " + std::to_string(runs.size() - 1) + " of " +
                    std::to_string(loaded_->artifact().shape.width) + "; compile the model again");
  }
  for (std::size_t s = 0; s + 1 < runs.size(); ++s) {
    if (segments_[s].empty()) {
      continue;
    }
    const auto segment = static_cast<std::int64_t>(s);
    const SegmentDifference& difference = report.segments.emplace_back(
        CompareNumbers(runs[s].plan->name, runs[s].layer, segments_[s], golden_->Segment(segment)));
    TYLLM_TRY(CheckSegment(
        difference,
        tolerances.segment + tolerances.roundings * golden_->rounding_of_segment(segment)));
  }
  return OkStatus();
}

Status VerifyRun::CheckLogits(const Tolerances& tolerances, VerifyReport& report) const {
  const std::vector<float>& logits = OfText();
  const auto tokens = std::ssize(golden_->tokens);
  const std::int64_t first = every_ ? 0 : tokens - 1;
  LogitDifference difference;
  for (std::int64_t t = first; t < tokens; ++t) {
    const auto row =
        std::span(logits).subspan(static_cast<std::size_t>((t - first) * golden_->vocabulary),
                                  static_cast<std::size_t>(golden_->vocabulary));
    if (t >= tokens - golden_->rows) {
      TYLLM_TRY(CompareLogits(row, golden_->Row(t - (tokens - golden_->rows)), t, tolerances.logit,
                              difference));
    }
    TYLLM_TRY(CompareSummary(row, golden_->Summary(t), t, tolerances.logit));
    TYLLM_TRY(CompareBest(row, golden_->best[static_cast<std::size_t>(t)], t, tolerances.logit,
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

Status VerifyRun::CheckEveryProgramRan(const std::vector<plan::ProgramId>& called) const {
  constexpr std::int64_t kOneBehindTwo = 3;
  if (loaded_->engine() == Engine::kInterpreter || std::ssize(golden_->tokens) < 2 ||
      loaded_->artifact().buffers.max_kv < kOneBehindTwo) {
    return OkStatus();
  }
  for (const LoadedProgram& program : loaded_->programs()) {
    if (program.id.bucket > 1 && std::ranges::find(called, program.id) == called.end()) {
      return Internal("program " + std::string(plan::kProgramKindNames.Name(program.id.kind)) +
                      " of " + std::to_string(program.id.bucket) +
                      " tokens was not called with more than one, so it is not proven; report "
                      "this with the options that the model was compiled with");
    }
  }
  return OkStatus();
}

Status VerifyRun::CheckChunkings(const Tolerances& tolerances, VerifyReport& report) {
  for (const Session& session : sessions_) {
    report.chunkings.push_back(Describe(session.chunks()));
  }
  const ExpectedText expected{golden_->greedy, std::ssize(golden_->tokens), tolerances.logit};
  std::vector<GreedyText> texts;
  for (std::size_t i = 0; i < sessions_.size(); ++i) {
    if (std::memcmp(logits_[i].data(), logits_[0].data(), logits_[0].size() * sizeof(float)) != 0) {
      return DifferentBits(logits_[i], logits_[0], *golden_, report.chunkings[i],
                           report.chunkings[0]);
    }
    texts.emplace_back(expected, logits_[i]);
  }
  TYLLM_TRY(ContinueTogether(sessions_, texts).Annotate("greedy text"));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].tokens() != texts[0].tokens()) {
      return DataLoss("the greedy text after " + report.chunkings[i] +
                      " is another one than after " + report.chunkings[0] +
                      "; compile the model again");
    }
  }
  report.greedy = texts.front().agreed();
  const std::size_t first = sessions_.size() + (every_ ? 1 : 0);
  TYLLM_TRY(filled_->Check(std::span(logits_).subspan(first), OfText()));
  report.filled = filled_->Chunkings();
  return OkStatus();
}

}  // namespace tyllm::simulator
