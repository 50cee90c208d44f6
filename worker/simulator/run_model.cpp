// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/run_model.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "worker/artifact/layout.h"
#include "worker/forward/generator.h"
#include "worker/model/generation_config.h"
#include "worker/model/tokenizer.h"

namespace tyllm::simulator {

namespace {

double Rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
}

/// The text side of a run: the prompt's ids, and new tokens as text.
class Text {
 public:
  static Result<Text> Open(const Path& directory, const RunRequest& request) {
    Text text;
    std::error_code error;
    if (std::filesystem::exists(directory / artifact::kTokenizerFile, error)) {
      TYLLM_ASSIGN(model::Tokenizer tokenizer, model::Tokenizer::Load(directory));
      text.tokenizer_ = std::make_unique<model::Tokenizer>(std::move(tokenizer));
      text.decoder_.emplace(*text.tokenizer_);
    }
    TYLLM_TRY(text.ReadPrompt(directory, request));
    return text;
  }

  const std::vector<std::int32_t>& prompt() const { return prompt_; }

  std::string Push(std::int32_t token) { return decoder_ ? decoder_->Push(token) : std::string(); }

  std::string Flush() { return decoder_ ? decoder_->Flush() : std::string(); }

 private:
  Status ReadPrompt(const Path& directory, const RunRequest& request) {
    if (request.prompt.has_value() == !request.token_ids.empty()) {
      return InvalidArgument("give either --prompt or --token-ids");
    }
    if (request.chat && !request.prompt) {
      return InvalidArgument("--chat needs --prompt TEXT: the message to answer");
    }
    if (request.prompt) {
      if (tokenizer_ == nullptr) {
        return NotFound("there is no " + (directory / artifact::kTokenizerFile).string() +
                        " to read the prompt with; copy it there or give --token-ids");
      }
      std::string text = *request.prompt;
      if (request.chat) {
        TYLLM_ASSIGN(text, model::WriteChatPrompt(directory, text, *request.chat));
      }
      TYLLM_ASSIGN(prompt_, tokenizer_->Encode(text));
      return prompt_.empty() ? InvalidArgument("the prompt is empty; give at least one character")
                             : OkStatus();
    }
    for (const std::int64_t id : request.token_ids) {
      if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
        return InvalidArgument("token id " + std::to_string(id) + " is not in any vocabulary");
      }
      prompt_.push_back(static_cast<std::int32_t>(id));
    }
    return OkStatus();
  }

  std::unique_ptr<model::Tokenizer> tokenizer_;
  std::optional<model::StreamDecoder> decoder_;
  std::vector<std::int32_t> prompt_;
};

/// Collects what comes and passes it on.
OnToken Collector(Text& text, RunReport& report, const OnText& on_text) {
  return [&text, &report, &on_text](std::int32_t token) {
    const std::string piece = text.Push(token);
    report.text += piece;
    if (on_text) {
      on_text(piece);
    }
  };
}

void Finish(Text& text, RunReport& report, const OnText& on_text, std::int64_t decoded) {
  const std::string rest = text.Flush();
  report.text += rest;
  if (on_text) {
    on_text(rest);
  }
  report.prefill_tokens_per_second = Rate(std::ssize(report.prompt_ids), report.prefill_seconds);
  report.decode_tokens_per_second = Rate(decoded, report.decode_seconds);
}

Result<RunReport> RunArtifact(const RunRequest& request, const Clock& clock,
                              const OnText& on_text) {
  TYLLM_ASSIGN(const LoadedArtifact loaded,
               LoadedArtifact::Load(request.directory, request.engine));
  const Path& directory = loaded.artifact().directory;
  TYLLM_ASSIGN(Text text, Text::Open(directory, request));
  TYLLM_ASSIGN(Session session, Session::Open(loaded, {request.chunks, request.threads}));
  TYLLM_ASSIGN(std::vector<std::int32_t> stop, model::StopTokens(directory));
  RunReport report;
  report.model = std::to_string(loaded.dies()) + (loaded.dies() == 1 ? " die, " : " dies, ") +
                 std::string(kEngineNames.Name(loaded.engine()));
  report.prompt_ids = text.prompt();
  const std::vector<Chunk> chunks =
      PlanChunks(request.chunks.empty() ? loaded.artifact().buffers.seq_lens : request.chunks, 0,
                 std::ssize(report.prompt_ids), Rows::kLast);
  std::transform(chunks.begin(), chunks.end(), std::back_inserter(report.chunks),
                 [](const Chunk& chunk) { return chunk.tokens; });
  TYLLM_ASSIGN(const Generated generated,
               Generate(session, {text.prompt(), request.max_tokens, std::move(stop)}, clock,
                        Collector(text, report, on_text)));
  report.token_ids = generated.tokens;
  report.ending = generated.ending;
  report.prefill_seconds = generated.prefill_seconds;
  report.decode_seconds = generated.decode_seconds;
  Finish(text, report, on_text, generated.decoded);
  return report;
}

Result<RunReport> RunFloat(const RunRequest& request, const Clock& clock, const OnText& on_text) {
  if (!request.chunks.empty()) {
    return InvalidArgument("--chunks is for compiled models; " + request.directory.string() +
                           " is a model directory");
  }
  TYLLM_ASSIGN(Text text, Text::Open(request.directory, request));
  TYLLM_ASSIGN(const forward::Model model, forward::OpenModel(request.directory));
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend("cpu", static_cast<int>(request.threads)));
  forward::Generator generator(model, *backend);
  RunReport report;
  report.model = "float32";
  report.prompt_ids = text.prompt();
  report.chunks = {std::ssize(report.prompt_ids)};
  TYLLM_ASSIGN(std::vector<std::int32_t> stop, model::StopTokens(request.directory));
  const OnToken collect = Collector(text, report, on_text);
  const auto begin = clock.Now();
  std::optional<Clock::Steady> first;
  TYLLM_ASSIGN(report.token_ids,
               generator.Greedy({text.prompt(), request.max_tokens, std::move(stop)},
                                [&](std::int32_t token) {
                                  first = first.value_or(clock.Now());
                                  collect(token);
                                }));
  const auto end = clock.Now();
  report.ending =
      std::ssize(report.token_ids) < request.max_tokens ? Ending::kStopToken : Ending::kMaxTokens;
  report.prefill_seconds = std::chrono::duration<double>(first.value_or(end) - begin).count();
  report.decode_seconds = std::chrono::duration<double>(end - first.value_or(end)).count();
  Finish(text, report, on_text, std::max<std::int64_t>(std::ssize(report.token_ids) - 1, 0));
  return report;
}

}  // namespace

Result<RunReport> RunModel(const RunRequest& request, const Clock& clock, const OnText& on_text) {
  return artifact::IsArtifact(request.directory) ? RunArtifact(request, clock, on_text)
                                                 : RunFloat(request, clock, on_text);
}

}  // namespace tyllm::simulator
