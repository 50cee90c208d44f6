// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/format/json.h"
#include "worker/model/chat_template.h"
#include "worker/vision/medium.h"

namespace tyllm::evaluate {

struct GenerateRequest {
  Path model;
  std::optional<std::string> prompt;      ///< text as it is, or
  std::optional<model::ChatPrompt> chat;  ///< with it: a message of a conversation; or
  std::vector<std::int64_t> ids;          ///< the prompt's tokens
  /// Images and videos: before the text, or where `ids` have their tokens.
  std::vector<vision::Medium> media;
  std::int64_t max_tokens = 64;
  bool stop = true;  ///< end at the model's end tokens (generation_config.json, config.json)
  std::string device = "auto";
  int threads = 0;
};

/// Greedy text of a model directory.
struct Generation {
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::int32_t> token_ids;  ///< the new ones
  std::optional<std::string> text;      ///< of the new ones; absent without a tokenizer
  double seconds = 0.0;
  double tokens_per_second = 0.0;  ///< new tokens, the prompt's time included

  bool operator==(const Generation&) const = default;
};

/// Computed in float32 from the (dequantized) weights: what the model itself says, before anything
/// is compiled. Reports the stage "generate" in tokens.
Result<Generation> Generate(const GenerateRequest& request, const Clock& clock,
                            domain::ProgressSink& progress);

}  // namespace tyllm::evaluate

template <>
struct tyllm::format::Members<tyllm::evaluate::Generation> {
  using G = tyllm::evaluate::Generation;
  static constexpr auto kTable = std::tuple{
      Member{"prompt_ids", &G::prompt_ids, true},
      Member{"token_ids", &G::token_ids, true},
      Member{"text", &G::text},
      Member{"seconds", &G::seconds},
      Member{"tokens_per_second", &G::tokens_per_second},
  };
};
