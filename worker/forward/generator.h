// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "worker/forward/sampling.h"
#include "worker/forward/streamed_pass.h"

namespace tyllm::forward {

/// kInvalidArgument where a prompt of so many tokens and the new ones do not fit the model's
/// positions, or one of them is none.
Status CheckRoom(const model::ModelShape& shape, std::int64_t prompt, std::int64_t max_tokens);

/// Text of a model, computed in float32 with a cache of keys and values. `model` and
/// `backend` outlive it.
class Generator {
 public:
  /// What a model's float32 weights may take to be kept in memory: 4 GiB of the host's, half of
  /// what is free of a device's.
  static std::int64_t ResidentBytes(const tensor::Backend& backend);

  /// Of a model whose weights take more than `resident_bytes` every layer is read again for each
  /// token; the head stays.
  Generator(const Model& model, tensor::Backend& backend, std::int64_t resident_bytes);

  Generator(const Model& model, tensor::Backend& backend)
      : Generator(model, backend, ResidentBytes(backend)) {}

  /// Called with each new token as it comes.
  using OnToken = std::function<void(std::int32_t token)>;

  struct Request {
    std::vector<std::int32_t> prompt;  ///< at least one token
    std::int64_t max_tokens = 0;
    std::vector<std::int32_t> stop;  ///< a token that ends the text, and is not part of it
    SamplingOptions sampling;
    /// Where images stand in the prompt; nullptr: text.
    std::shared_ptr<const VisualInput> visual = nullptr;
  };

  /// The new tokens. Prompt and new tokens together must fit the model's positions.
  Result<std::vector<std::int32_t>> Generate(const Request& request, const OnToken& on_token = {});

  /// Called with the number of a request whose text is complete.
  using OnText = std::function<void(std::size_t request)>;

  /// The new tokens of each request, as Generate gives them. Texts grow together, as many at once
  /// as keep their keys and values in a gibibyte: of a model that is not resident each block is
  /// read once for a token of all of them.
  Result<std::vector<std::vector<std::int32_t>>> GenerateAll(std::span<const Request> requests,
                                                             const OnText& on_text = {});

 private:
  struct Text;

  Status LoadResident();
  /// Bytes of keys and values of a request's last token.
  std::int64_t CacheBytes(const Request& request) const;
  /// Lets the texts grow until all are complete.
  Status Grow(std::vector<Text>& texts, const OnToken& on_token, const OnText& on_text);
  /// Runs the pending tokens of each text through the model and adds the token that follows.
  Status Step(std::span<Text* const> texts);
  Status AddToken(const Head& head, Text& text);

  const Model& model_;
  BlockRunner runner_;
  bool resident_;
  std::vector<BlockWeights> body_;  ///< empty until loaded
  std::unique_ptr<Head> head_;
};

}  // namespace tyllm::forward
