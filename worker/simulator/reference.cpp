// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

#include "worker/plan/checkpoint_formats.h"
#include "worker/simulator/checkpoint_weights.h"
#include "worker/simulator/compare_logits.h"
#include "worker/simulator/compare_segments.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/interpreter.h"

namespace tyllm::simulator {

namespace {

/// One die with all of the model. Weights and activations are rounded as `rounding` says.
Result<plan::Schedule> OneDie(const forward::Model& model, std::int64_t bucket, std::int64_t max_kv,
                              const Rounding& rounding = {}) {
  plan::WeightFormats formats = plan::FormatsOf(model.checkpoint, model.graph);
  formats.int8_head = rounding.int8_head;
  formats.activation_bits = rounding.activation_bits;
  TYLLM_ASSIGN(plan::ShardPlan shards, plan::ShardModel(model.shape(), formats.group, 1));
  if (rounding.to_int8()) {
    shards.attention_group = rounding.attention_group;
    shards.mlp_group = rounding.mlp_group;
  }
  return plan::BuildSchedule(model.graph, formats, shards, 0, {plan::ProgramKind::kDecode, bucket},
                             max_kv, false);
}

/// The largest logits of a row, and the sum.
void KeepSummary(std::span<const float> row, Golden& golden) {
  std::vector<std::int32_t> tokens(row.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto end = tokens.begin() + golden.top;
  std::partial_sort(tokens.begin(), end, tokens.end(), [&](std::int32_t a, std::int32_t b) {
    const float left = row[static_cast<std::size_t>(a)];
    const float right = row[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  });
  golden.top_tokens.insert(golden.top_tokens.end(), tokens.begin(), end);
  std::transform(tokens.begin(), end, std::back_inserter(golden.top_logits),
                 [&](std::int32_t token) { return row[static_cast<std::size_t>(token)]; });
  golden.log_sums.push_back(static_cast<float>(LogSum(row)));
}

void KeepLogits(const Interpreter& program, std::int64_t tokens, Golden& golden) {
  const std::int64_t columns = golden.vocabulary;
  const float* const logits = program.Logits();
  golden.top = std::min(kTopLogits, columns);
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::span<const float> row(logits + t * columns, static_cast<std::size_t>(columns));
    golden.best.push_back(BestToken(row));
    KeepSummary(row, golden);
  }
  golden.logits.assign(logits + (tokens - golden.rows) * columns, logits + tokens * columns);
}

/// A prompt in the interpreter.
class Prompt {
 public:
  Prompt(const forward::Model& model, const plan::Schedule& schedule, ThreadPool& pool,
         AlignedMemory& cache, AlignedMemory buffers)
      : weights_(model.checkpoint, schedule),
        program_(schedule, weights_, cache, std::move(buffers), &pool) {}

  /// `after` is called with the number of each segment when it is done.
  template <typename After>
  Status Run(std::span<const std::int32_t> tokens, After after) {
    program_.Begin({tokens, {}, 0});
    for (std::size_t s = 0; s < program_.segments().size(); ++s) {
      program_.Run(s, 0, {});
      TYLLM_TRY(weights_.status());
      after(s);
    }
    return OkStatus();
  }

  Interpreter& program() { return program_; }

  std::span<const float> LastRow(std::size_t segment, std::int64_t tokens, std::int64_t width) {
    return {program_.CollectiveBuffer(segment) + (tokens - 1) * width,
            static_cast<std::size_t>(width)};
  }

 private:
  CheckpointWeights weights_;
  Interpreter program_;
};

/// What rounding changes: the same prompt once more, rounded as the programs do.
Status MeasureRounding(const forward::Model& model, const ReferenceRequest& request,
                       std::span<const float> exact, ThreadPool& pool,
                       const std::function<void(std::size_t)>& report, Golden& golden) {
  const auto tokens = std::ssize(request.tokens);
  TYLLM_ASSIGN(const plan::Schedule schedule, OneDie(model, tokens, tokens, request.rounding));
  TYLLM_ASSIGN(AlignedMemory cache, FloatKvCache(schedule));
  TYLLM_ASSIGN(AlignedMemory buffers, FloatBuffers(schedule));
  Prompt prompt(model, schedule, pool, cache, std::move(buffers));
  TYLLM_TRY(prompt.Run(request.tokens, [&](std::size_t s) {
    if (static_cast<std::int64_t>(s) < golden.segment_count()) {
      const SegmentDifference difference =
          CompareNumbers("", -1, prompt.LastRow(s, tokens, golden.width),
                         golden.Segment(static_cast<std::int64_t>(s)));
      golden.rounding.push_back(static_cast<float>(difference.relative_error));
    }
    report(s);
  }));
  const std::span<const float> rounded(prompt.program().Logits(), exact.size());
  float largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    largest = std::max(largest, std::fabs(rounded[i] - exact[i]));
  }
  golden.rounding.push_back(largest);
  return OkStatus();
}

void Continue(Interpreter& program, std::int64_t count, Golden& golden) {
  std::int64_t history = std::ssize(golden.tokens);
  std::int32_t token = golden.best.back();
  for (std::int64_t i = 0; i < count; ++i) {
    golden.greedy.push_back(token);
    if (i + 1 == count) {
      return;
    }
    program.Begin({std::span(&token, 1), {}, history++});
    for (std::size_t s = 0; s < program.segments().size(); ++s) {
      program.Run(s, 0, {});
    }
    token = BestToken(std::span(program.Logits(), static_cast<std::size_t>(golden.vocabulary)));
  }
}

}  // namespace

Result<Golden> RunReference(const forward::Model& model, const ReferenceRequest& request,
                            ThreadPool& pool, domain::ProgressSink& progress) {
  const auto tokens = std::ssize(request.tokens);
  const std::int64_t max_kv = tokens + request.greedy;
  TYLLM_ASSIGN(const plan::Schedule all, OneDie(model, tokens, max_kv));
  TYLLM_ASSIGN(const plan::Schedule next, OneDie(model, 1, max_kv));
  const auto segments = static_cast<std::int64_t>(all.Runs().size());
  const auto report = [&](std::int64_t done) {
    progress.Report(
        {"golden", done, request.rounding.to_int8() ? 2 * segments : segments, "segments", ""});
  };
  TYLLM_ASSIGN(AlignedMemory cache, FloatKvCache(all));
  Golden golden;
  golden.tokens.assign(request.tokens.begin(), request.tokens.end());
  golden.rows = std::min(request.rows, tokens);
  golden.vocabulary = model.shape().vocabulary;
  golden.width = model.shape().width;
  {
    TYLLM_ASSIGN(AlignedMemory buffers, FloatBuffers(all));
    Prompt prompt(model, all, pool, cache, std::move(buffers));
    TYLLM_TRY(prompt.Run(request.tokens, [&](std::size_t s) {
      if (static_cast<std::int64_t>(s) + 1 < segments) {
        const std::span<const float> row = prompt.LastRow(s, tokens, golden.width);
        golden.segments.insert(golden.segments.end(), row.begin(), row.end());
      }
      report(static_cast<std::int64_t>(s) + 1);
    }));
    KeepLogits(prompt.program(), tokens, golden);
    if (request.rounding.to_int8()) {
      TYLLM_TRY(MeasureRounding(
          model, request,
          {prompt.program().Logits(), static_cast<std::size_t>(tokens * golden.vocabulary)}, pool,
          [&](std::size_t s) { report(segments + static_cast<std::int64_t>(s) + 1); }, golden));
    }
  }
  const CheckpointWeights again(model.checkpoint, next);
  TYLLM_ASSIGN(AlignedMemory buffers, FloatBuffers(next));
  Interpreter program(next, again, cache, std::move(buffers), &pool);
  Continue(program, request.greedy, golden);
  TYLLM_TRY(again.status());
  return golden;
}

}  // namespace tyllm::simulator
