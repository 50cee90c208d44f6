// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/generator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "worker/forward/block_stream.h"

namespace tyllm::forward {

Generator::Generator(const Model& model, tensor::Backend& backend, std::int64_t resident_bytes)
    : model_(model),
      runner_(backend, model.shape()),
      resident_(model.shape().parameters() * 4 <= resident_bytes) {}

Status Generator::Check(const Request& request) const {
  if (request.prompt.empty()) {
    return InvalidArgument("the prompt has no tokens, expected at least one");
  }
  if (request.max_tokens < 1) {
    return InvalidArgument("max tokens is " + std::to_string(request.max_tokens) +
                           ", expected 1 or more");
  }
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t positions = model_.shape().max_positions;
  if (prompt > positions || request.max_tokens > positions - prompt) {
    return InvalidArgument(
        "the prompt has " + std::to_string(prompt) + " tokens and " +
        std::to_string(request.max_tokens) + " more are wanted, but the model has " +
        std::to_string(positions) +
        " positions (max_position_embeddings or sliding_window of config.json); ask for fewer "
        "tokens");
  }
  return OkStatus();
}

Status Generator::LoadResident() {
  if (!resident_ || head_ != nullptr) {
    return OkStatus();
  }
  body_.clear();
  for (const graph::Block* block : model_.BodyBlocks()) {
    TYLLM_ASSIGN(BlockWeights weights, LoadBlock(runner_.backend(), model_.checkpoint, *block));
    body_.push_back(std::move(weights));
  }
  TYLLM_ASSIGN(Head head, Head::Load(model_, runner_.backend()));
  head_ = std::make_unique<Head>(std::move(head));
  return OkStatus();
}

Result<std::int32_t> Generator::NextToken(const Head& head, const tensor::Matrix& hidden,
                                          Sampler& sampler) {
  TYLLM_ASSIGN(const tensor::Matrix computed, head.Logits(runner_, hidden, hidden.rows() - 1, 1));
  std::int32_t best = 0;
  runner_.backend().ArgMax(computed.view(), {&best, 1});
  const tensor::Matrix logits = runner_.backend().Fetch(computed.view());
  if (!std::isfinite(logits.row(0)[static_cast<std::size_t>(best)])) {
    return DataLoss("model " + model_.checkpoint.directory().string() +
                    " computes logits that are not finite; its weights are damaged or overflow: "
                    "fetch or make it again");
  }
  return sampler.Choose(logits.row(0));
}

Result<std::int32_t> Generator::Step(const TokenBatch& batch, std::vector<LayerCache>& caches,
                                     Sampler& sampler) {
  const std::vector<const graph::Block*> blocks = model_.BodyBlocks();
  BlockStream stream(runner_.backend(), model_.checkpoint,
                     resident_ ? std::vector<const graph::Block*>() : blocks);
  tensor::Matrix hidden;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    BlockWeights streamed;
    if (!resident_) {
      TYLLM_ASSIGN(streamed, stream.Next());
    }
    const BlockWeights& weights = resident_ ? body_[i] : streamed;
    TYLLM_ASSIGN(hidden, i == 0 ? runner_.RunEmbedding(*blocks[i], weights, batch)
                                : runner_.Continue(*blocks[i], weights, hidden, caches[i - 1],
                                                   batch.rotations()));
    if (i > 0 && batch.visual) {
      batch.visual->AddAfterLayer(static_cast<std::int64_t>(i) - 1, hidden);
    }
  }
  if (resident_) {
    return NextToken(*head_, hidden, sampler);
  }
  TYLLM_ASSIGN(const Head head, Head::Load(model_, runner_.backend()));
  return NextToken(head, hidden, sampler);
}

TokenBatch Generator::BatchOf(const Request& request, std::int32_t token,
                              std::int64_t generated) const {
  TokenBatch batch{.sequences = 1, .length = 1, .ids = {token}};
  if (request.visual) {
    auto visual = std::make_shared<VisualInput>();
    const auto position = static_cast<std::int32_t>(request.visual->next_position + generated - 1);
    visual->rotations = TextRotations(model::RopeFrequencies(model_.shape()), position, 1);
    batch.visual = std::move(visual);
  }
  return batch;
}

Result<std::vector<std::int32_t>> Generator::Generate(const Request& request,
                                                      const OnToken& on_token) {
  TYLLM_TRY(Check(request));
  TYLLM_TRY(forward::Check(request.sampling));
  TYLLM_TRY(LoadResident());
  std::vector<LayerCache> caches(model_.graph.layers.size());
  std::vector<std::int32_t> generated;
  TokenBatch pending{.sequences = 1,
                     .length = std::ssize(request.prompt),
                     .ids = request.prompt,
                     .visual = request.visual};
  Sampler sampler(request.sampling);
  while (static_cast<std::int64_t>(generated.size()) < request.max_tokens) {
    TYLLM_ASSIGN(const std::int32_t token, Step(pending, caches, sampler));
    if (std::ranges::find(request.stop, token) != request.stop.end()) {
      break;
    }
    generated.push_back(token);
    pending = BatchOf(request, token, std::ssize(generated));
    if (on_token) {
      on_token(token);
    }
  }
  return generated;
}

}  // namespace tyllm::forward
