// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/run_model.h"

#include <filesystem>
#include <limits>
#include <utility>

#include "worker/artifact/layout.h"
#include "worker/model/generation_config.h"
#include "worker/model/tokenizer.h"

namespace tyllm::simulator {

namespace {

double Rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
}

/// A model with its words: prompts to ids, new tokens to text.
class Speaker {
 public:
  static Result<Speaker> Open(const TextModelOptions& options) {
    Speaker speaker;
    TYLLM_ASSIGN(speaker.model_, TextModel::Open(options));
    const Path directory = speaker.model_->directory();
    std::error_code error;
    if (std::filesystem::exists(directory / artifact::kTokenizerFile, error)) {
      TYLLM_ASSIGN(model::Tokenizer tokenizer, model::Tokenizer::Load(directory));
      speaker.tokenizer_ = std::make_unique<model::Tokenizer>(std::move(tokenizer));
    }
    TYLLM_ASSIGN(speaker.stop_, model::StopTokens(directory));
    return speaker;
  }

  Path directory() const { return model_->directory(); }

  Result<std::vector<std::int32_t>> Encode(const std::string& text) const {
    if (tokenizer_ == nullptr) {
      return NotFound("there is no " + (directory() / artifact::kTokenizerFile).string() +
                      " to read the prompt with; copy it there or give --token-ids");
    }
    TYLLM_ASSIGN(std::vector<std::int32_t> ids, tokenizer_->Encode(text));
    if (ids.empty()) {
      return InvalidArgument("the prompt is empty; give at least one character");
    }
    return ids;
  }

  Result<std::vector<vision::LoadedMedium>> Load(std::span<const vision::Medium> media) const {
    std::vector<vision::LoadedMedium> loaded;
    for (const vision::Medium& medium : media) {
      TYLLM_ASSIGN(loaded.emplace_back(), model_->Load(medium));
    }
    return loaded;
  }

  /// `message` behind the placeholders of the media.
  Result<std::string> About(std::span<const vision::LoadedMedium> media,
                            const std::string& message) const {
    if (media.empty() || tokenizer_ == nullptr) {
      return message;
    }
    TYLLM_ASSIGN(const vision::VisualSpelling spelling,
                 vision::SpellingOf(*model_->vision(), [&](std::int32_t id) {
                   return std::string(tokenizer_->BytesOf(id));
                 }));
    return vision::PromptText(*model_->vision(), spelling, media) + message;
  }

  /// Placeholders repeated for every part of the media.
  Result<std::vector<std::int32_t>> Expand(std::span<const vision::LoadedMedium> media,
                                           std::vector<std::int32_t> ids) const {
    if (media.empty()) {
      return ids;
    }
    return vision::ExpandPlaceholders(*model_->vision(), ids, media);
  }

  Result<RunReport> Continue(std::vector<std::int32_t> prompt,
                             std::vector<vision::LoadedMedium> media, const RunRequest& request,
                             const Clock& clock, const OnText& on_text) {
    RunReport report;
    std::optional<model::StreamDecoder> decoder;
    if (tokenizer_ != nullptr) {
      decoder.emplace(*tokenizer_);
    }
    const auto say = [&](const std::string& piece) {
      report.text += piece;
      if (on_text) {
        on_text(piece);
      }
    };
    const GenerateRequest wanted{std::move(prompt), request.max_tokens, stop_, request.sampling,
                                 std::move(media)};
    TYLLM_ASSIGN(const Continuation made, model_->Continue(wanted, clock, [&](std::int32_t token) {
      say(decoder ? decoder->Push(token) : std::string());
    }));
    say(decoder ? decoder->Flush() : std::string());
    report.model = model_->name();
    report.prompt_ids = wanted.prompt;
    report.token_ids = made.generated.tokens;
    report.ending = made.generated.ending;
    report.chunks = made.chunks;
    report.prefill_seconds = made.generated.prefill_seconds;
    report.decode_seconds = made.generated.decode_seconds;
    std::int64_t read = 0;
    for (const std::int64_t chunk : made.chunks) {
      read += chunk;
    }
    report.prefill_tokens_per_second = Rate(read, report.prefill_seconds);
    report.decode_tokens_per_second = Rate(made.generated.decoded, report.decode_seconds);
    return report;
  }

 private:
  std::unique_ptr<TextModel> model_;
  std::unique_ptr<model::Tokenizer> tokenizer_;
  std::vector<std::int32_t> stop_;
};

Result<std::vector<std::int32_t>> Narrowed(const std::vector<std::int64_t>& token_ids) {
  std::vector<std::int32_t> ids;
  for (const std::int64_t id : token_ids) {
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
      return InvalidArgument("token id " + std::to_string(id) + " is not in any vocabulary");
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

Status CheckPrompt(const RunRequest& request) {
  if (request.prompt.has_value() == !request.token_ids.empty()) {
    return InvalidArgument("give either --prompt or --token-ids");
  }
  if (request.chat && !request.prompt) {
    return InvalidArgument("--chat needs --prompt TEXT: the message to answer");
  }
  return forward::Check(request.sampling);
}

Result<std::vector<std::int32_t>> PromptIds(const Speaker& speaker, const RunRequest& request,
                                            std::span<const vision::LoadedMedium> media) {
  if (!request.prompt) {
    return Narrowed(request.token_ids);
  }
  TYLLM_ASSIGN(const std::string message, speaker.About(media, *request.prompt));
  if (!request.chat) {
    return speaker.Encode(message);
  }
  TYLLM_ASSIGN(const std::string text,
               model::WriteChatPrompt(speaker.directory(), message, *request.chat));
  return speaker.Encode(text);
}

}  // namespace

Result<RunReport> RunModel(const RunRequest& request, const Clock& clock, const OnText& on_text) {
  TYLLM_TRY(CheckPrompt(request));
  TYLLM_ASSIGN(Speaker speaker, Speaker::Open(request.model));
  TYLLM_ASSIGN(std::vector<vision::LoadedMedium> media, speaker.Load(request.media));
  TYLLM_ASSIGN(std::vector<std::int32_t> prompt, PromptIds(speaker, request, media));
  TYLLM_ASSIGN(prompt, speaker.Expand(media, std::move(prompt)));
  return speaker.Continue(std::move(prompt), std::move(media), request, clock, on_text);
}

struct Conversation::State {
  RunRequest request;
  Speaker speaker;
  model::ChatTemplate format;
  std::vector<model::ChatMessage> messages;
};

Conversation::Conversation(std::unique_ptr<State> state) : state_(std::move(state)) {}

Conversation::Conversation(Conversation&&) noexcept = default;
Conversation::~Conversation() = default;

Result<Conversation> Conversation::Open(const RunRequest& request) {
  if (!request.chat || request.prompt || !request.token_ids.empty()) {
    return InvalidArgument(
        "a conversation takes its messages from the input; give neither --prompt nor --token-ids");
  }
  if (!request.media.empty()) {
    return InvalidArgument("a conversation is about text; ask about images with --prompt");
  }
  TYLLM_TRY(forward::Check(request.sampling));
  TYLLM_ASSIGN(Speaker speaker, Speaker::Open(request.model));
  TYLLM_ASSIGN(const model::ChatTemplate format, model::ChatTemplate::Load(speaker.directory()));
  auto state = std::make_unique<State>(State{request, std::move(speaker), format, {}});
  if (request.chat->system) {
    state->messages.push_back({"system", *request.chat->system});
  }
  return Conversation(std::move(state));
}

Result<RunReport> Conversation::Answer(const std::string& message, const Clock& clock,
                                       const OnText& on_text) {
  std::vector<model::ChatMessage> messages = state_->messages;
  messages.push_back({"user", message});
  TYLLM_ASSIGN(const std::string text,
               state_->format.Render(
                   messages, {.invite_answer = true, .thinking = state_->request.chat->thinking}));
  TYLLM_ASSIGN(std::vector<std::int32_t> prompt, state_->speaker.Encode(text));
  TYLLM_ASSIGN(RunReport report,
               state_->speaker.Continue(std::move(prompt), {}, state_->request, clock, on_text));
  messages.push_back({"assistant", report.text});
  state_->messages = std::move(messages);
  return report;
}

}  // namespace tyllm::simulator
