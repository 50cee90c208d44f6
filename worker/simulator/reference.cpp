// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/reference.h"

#include <algorithm>

#include "worker/plan/checkpoint_formats.h"
#include "worker/simulator/checkpoint_weights.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/interpreter.h"

namespace tyllm::simulator {

namespace {

/// One die with all of the model.
class OneDie {
 public:
  static Result<OneDie> Plan(const forward::Model& model, std::int64_t tokens,
                             std::int64_t max_kv) {
    const plan::WeightFormats formats = plan::FormatsOf(model.checkpoint, model.graph);
    TYLLM_ASSIGN(const plan::ShardPlan shards, plan::ShardModel(model.shape(), formats.group, 1));
    const auto schedule = [&](std::int64_t bucket) {
      return plan::BuildSchedule(model.graph, formats, shards, 0,
                                 {plan::ProgramKind::kDecode, bucket}, max_kv, false);
    };
    OneDie die;
    TYLLM_ASSIGN(die.all, schedule(tokens));
    TYLLM_ASSIGN(die.next, schedule(1));
    return die;
  }

  plan::Schedule all;   ///< all tokens in one call
  plan::Schedule next;  ///< one more
};

/// What segment `segment` left of the last token.
void KeepLastRow(Interpreter& program, std::size_t segment, std::int64_t tokens, Golden& golden) {
  const float* const row = program.CollectiveBuffer(segment) + (tokens - 1) * golden.width;
  golden.segments.insert(golden.segments.end(), row, row + golden.width);
}

void KeepLogits(const Interpreter& program, std::int64_t tokens, Golden& golden) {
  const std::int64_t columns = golden.vocabulary;
  const float* const logits = program.Logits();
  for (std::int64_t t = 0; t < tokens; ++t) {
    golden.best.push_back(
        BestToken(std::span(logits + t * columns, static_cast<std::size_t>(columns))));
  }
  golden.logits.assign(logits + (tokens - golden.rows) * columns, logits + tokens * columns);
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
  TYLLM_ASSIGN(const OneDie die, OneDie::Plan(model, tokens, tokens + request.greedy));
  const CheckpointWeights weights(model.checkpoint, die.all);
  std::vector<float> cache = FloatKvCache(die.all);
  Golden golden;
  golden.tokens.assign(request.tokens.begin(), request.tokens.end());
  golden.rows = std::min(request.rows, tokens);
  golden.vocabulary = model.shape().vocabulary;
  golden.width = model.shape().width;
  {
    Interpreter program(die.all, weights, cache, &pool);
    program.Begin({request.tokens, {}, 0});
    const std::size_t count = program.segments().size();
    for (std::size_t s = 0; s < count; ++s) {
      program.Run(s, 0, {});
      if (s + 1 < count) {
        KeepLastRow(program, s, tokens, golden);
      }
      progress.Report({"golden", static_cast<std::int64_t>(s + 1), static_cast<std::int64_t>(count),
                       "segments", ""});
      TYLLM_TRY(weights.status());
    }
    KeepLogits(program, tokens, golden);
  }
  const CheckpointWeights again(model.checkpoint, die.next);
  Interpreter program(die.next, again, cache, &pool);
  Continue(program, request.greedy, golden);
  TYLLM_TRY(again.status());
  return golden;
}

}  // namespace tyllm::simulator
