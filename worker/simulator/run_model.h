// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/clock.h"
#include "common/format/json.h"
#include "worker/model/chat_template.h"
#include "worker/simulator/text_model.h"

namespace tyllm::simulator {

/// What `tyllm run` does: text of a compiled model, or of a model directory in float32.
struct RunRequest {
  TextModelOptions model;
  std::optional<std::string> prompt;      ///< this,
  std::optional<model::ChatPrompt> chat;  ///< with it: the prompt is a message of a conversation
  std::vector<std::int64_t> token_ids;    ///< or these
  std::vector<vision::Medium> media;      ///< that the prompt is about
  std::int64_t max_tokens = 64;
  forward::SamplingOptions sampling;
};

struct RunReport {
  std::string model;  ///< "4 dies, compiled", "float32"
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::int32_t> token_ids;  ///< new ones
  std::string text;                     ///< of the new ones; empty without a tokenizer
  Ending ending = Ending::kMaxTokens;
  std::vector<std::int64_t> chunks;  ///< tokens of each call of the prefill
  double prefill_seconds = 0;
  double decode_seconds = 0;
  double prefill_tokens_per_second = 0;
  double decode_tokens_per_second = 0;
};

/// Called with text as it comes, in whole characters.
using OnText = std::function<void(std::string_view text)>;

/// A prompt needs the directory's tokenizer.json; token ids do without.
Result<RunReport> RunModel(const RunRequest& request, const Clock& clock,
                           const OnText& on_text = {});

/// A person's conversation with a model, in the model's chat format. Not thread-safe.
class Conversation {
 public:
  /// `request` has `chat`, and neither a prompt nor token ids.
  static Result<Conversation> Open(const RunRequest& request);
  Conversation(Conversation&&) noexcept;
  ~Conversation();

  /// The answer to the next message. An error leaves the conversation as it was before.
  Result<RunReport> Answer(const std::string& message, const Clock& clock, const OnText& on_text);

 private:
  struct State;
  explicit Conversation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tyllm::simulator

template <>
struct tyllm::format::Members<tyllm::simulator::RunReport> {
  using R = tyllm::simulator::RunReport;
  static constexpr auto kTable = std::tuple{
      Member{"model", &R::model},
      Member{"prompt_ids", &R::prompt_ids},
      Member{"token_ids", &R::token_ids},
      Member{"text", &R::text},
      Member{"ending", &R::ending},
      Member{"chunks", &R::chunks},
      Member{"prefill_seconds", &R::prefill_seconds},
      Member{"decode_seconds", &R::decode_seconds},
      Member{"prefill_tokens_per_second", &R::prefill_tokens_per_second},
      Member{"decode_tokens_per_second", &R::decode_tokens_per_second},
  };
};
