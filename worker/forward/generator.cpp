// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/generator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "worker/forward/block_stream.h"
#include "worker/forward/embedding_rows.h"

namespace tyllm::forward {

namespace {

/// Keys and values that may be in memory at once.
constexpr std::int64_t kCacheBytes = std::int64_t{1} << 30;

constexpr std::int64_t kHostBytes = std::int64_t{4} << 30;

}  // namespace

/// A text that grows.
struct Generator::Text {
  const Request& request;
  std::size_t number;
  Sampler sampler;
  std::vector<LayerCache> caches;
  TokenBatch pending;  ///< tokens that the model has not seen
  std::vector<std::int32_t> generated = {};
  tensor::Matrix hidden = {};

  Text(const Request& of, std::size_t number_of_it, std::size_t layers)
      : request(of),
        number(number_of_it),
        sampler(of.sampling),
        caches(layers),
        pending{.sequences = 1,
                .length = std::ssize(of.prompt),
                .ids = of.prompt,
                .visual = of.visual} {}

  /// The new token as the model is to see it.
  void See(std::int32_t token, const model::ModelShape& shape) {
    pending = {.sequences = 1, .length = 1, .ids = {token}};
    if (request.visual) {
      auto visual = std::make_shared<VisualInput>();
      const auto position =
          static_cast<std::int32_t>(request.visual->next_position + std::ssize(generated));
      visual->rotations = TextRotations(model::RopeFrequencies(shape), position, 1);
      pending.visual = std::move(visual);
    }
  }

  /// Takes the new token; false when the text is complete.
  bool Take(const OnToken& on_token) {
    const std::int32_t token = pending.ids.front();
    if (std::ranges::find(request.stop, token) != request.stop.end()) {
      return false;
    }
    generated.push_back(token);
    if (on_token) {
      on_token(token);
    }
    return static_cast<std::int64_t>(generated.size()) < request.max_tokens;
  }
};

std::int64_t Generator::ResidentBytes(const tensor::Backend& backend) {
  return backend.has_own_memory() ? backend.free_device_bytes() / 2 : kHostBytes;
}

Generator::Generator(const Model& model, tensor::Backend& backend, std::int64_t resident_bytes)
    : model_(model),
      runner_(backend, model.shape()),
      resident_(model.shape().parameters() * 4 <= resident_bytes) {}

Status CheckRoom(const model::ModelShape& shape, std::int64_t prompt, std::int64_t max_tokens) {
  if (prompt < 1) {
    return InvalidArgument("the prompt has no tokens, expected at least one");
  }
  if (max_tokens < 1) {
    return InvalidArgument("max tokens is " + std::to_string(max_tokens) + ", expected 1 or more");
  }
  const std::int64_t positions = shape.max_positions;
  if (prompt > positions || max_tokens > positions - prompt) {
    return InvalidArgument(
        "the prompt has " + std::to_string(prompt) + " tokens and " + std::to_string(max_tokens) +
        " more are wanted, but the model has " + std::to_string(positions) +
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

std::int64_t Generator::CacheBytes(const Request& request) const {
  const model::ModelShape& shape = model_.shape();
  const auto tokens = static_cast<std::int64_t>(request.prompt.size()) + request.max_tokens;
  return tokens * shape.layers * 2 * shape.kv_heads * shape.head_size * 4;
}

Status Generator::AddToken(const Head& head, Text& text) {
  TYLLM_ASSIGN(const tensor::Matrix computed,
               head.Logits(runner_, text.hidden, text.hidden.rows() - 1, 1));
  std::int32_t best = 0;
  runner_.backend().ArgMax(computed.view(), {&best, 1});
  const tensor::Matrix logits = runner_.backend().Fetch(computed.view());
  if (!std::isfinite(logits.row(0)[static_cast<std::size_t>(best)])) {
    return DataLoss("model " + model_.checkpoint.directory().string() +
                    " computes logits that are not finite; its weights are damaged or overflow: "
                    "fetch or make it again");
  }
  text.See(text.sampler.Choose(logits.row(0)), model_.shape());
  return OkStatus();
}

Status Generator::Step(std::span<Text* const> texts) {
  const graph::Block& embedding = model_.graph.embedding;
  for (Text* text : texts) {
    TYLLM_ASSIGN(text->hidden,
                 resident_ ? runner_.RunEmbedding(embedding, body_[0], text->pending)
                           : EmbedTokens(runner_, model_.checkpoint, embedding, text->pending));
  }
  const std::vector<const graph::Block*> layers = LayersOf(model_);
  BlockStream stream(runner_.backend(), model_.checkpoint,
                     resident_ ? std::vector<const graph::Block*>() : layers);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    BlockWeights streamed;
    if (!resident_) {
      TYLLM_ASSIGN(streamed, stream.Next());
    }
    const BlockWeights& weights = resident_ ? body_[i + 1] : streamed;
    for (Text* text : texts) {
      const TokenBatch& batch = text->pending;
      TYLLM_ASSIGN(text->hidden, runner_.Continue(*layers[i], weights, text->hidden,
                                                  text->caches[i], batch.rotations()));
      if (batch.visual) {
        batch.visual->AddAfterLayer(static_cast<std::int64_t>(i), runner_.backend(), text->hidden);
      }
    }
  }
  if (head_ == nullptr) {  // every token needs it, so it stays
    TYLLM_ASSIGN(Head head, Head::Load(model_, runner_.backend()));
    head_ = std::make_unique<Head>(std::move(head));
  }
  for (Text* text : texts) {
    TYLLM_TRY(AddToken(*head_, *text));
  }
  return OkStatus();
}

Status Generator::Grow(std::vector<Text>& texts, const OnToken& on_token, const OnText& on_text) {
  std::vector<Text*> growing;
  for (Text& text : texts) {
    growing.push_back(&text);
  }
  while (!growing.empty()) {
    TYLLM_TRY(Step(growing));
    std::erase_if(growing, [&](Text* text) {
      const bool goes_on = text->Take(on_token);
      if (!goes_on) {
        text->caches.clear();
        if (on_text) {
          on_text(text->number);
        }
      }
      return !goes_on;
    });
  }
  return OkStatus();
}

Result<std::vector<std::vector<std::int32_t>>> Generator::GenerateAll(
    std::span<const Request> requests, const OnText& on_text) {
  for (const Request& request : requests) {
    TYLLM_TRY(CheckRoom(model_.shape(), std::ssize(request.prompt), request.max_tokens));
    TYLLM_TRY(forward::Check(request.sampling));
  }
  TYLLM_TRY(LoadResident());
  std::vector<std::vector<std::int32_t>> generated;
  while (generated.size() < requests.size()) {
    std::vector<Text> texts;
    std::int64_t bytes = 0;
    for (std::size_t i = generated.size(); i < requests.size(); ++i) {
      bytes += CacheBytes(requests[i]);
      if (!texts.empty() && bytes > kCacheBytes) {
        break;
      }
      texts.emplace_back(requests[i], i, model_.graph.layers.size());
    }
    TYLLM_TRY(Grow(texts, {}, on_text));
    for (Text& text : texts) {
      generated.push_back(std::move(text.generated));
    }
  }
  return generated;
}

Result<std::vector<std::int32_t>> Generator::Generate(const Request& request,
                                                      const OnToken& on_token) {
  TYLLM_TRY(CheckRoom(model_.shape(), std::ssize(request.prompt), request.max_tokens));
  TYLLM_TRY(forward::Check(request.sampling));
  TYLLM_TRY(LoadResident());
  std::vector<Text> texts;
  texts.emplace_back(request, 0, model_.graph.layers.size());
  TYLLM_TRY(Grow(texts, on_token, {}));
  return std::move(texts.front().generated);
}

}  // namespace tyllm::forward
