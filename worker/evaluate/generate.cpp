// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/generate.h"

#include <chrono>
#include <utility>

#include "worker/evaluate/dump.h"
#include "worker/forward/generator.h"
#include "worker/forward/visual_prompt.h"
#include "worker/model/generation_config.h"
#include "worker/model/tokenizer.h"
#include "worker/tensor/backend.h"

namespace tyllm::evaluate {

namespace {

/// None when the directory has no tokenizer and the prompt comes as ids.
Result<std::optional<model::Tokenizer>> LoadTokenizer(const GenerateRequest& request) {
  auto tokenizer = model::Tokenizer::Load(request.model);
  if (tokenizer.ok()) {
    return std::optional<model::Tokenizer>(*std::move(tokenizer));
  }
  if (!request.prompt && tokenizer.status().code() == StatusCode::kNotFound) {
    return std::optional<model::Tokenizer>();
  }
  return tokenizer.status();
}

/// `message` is the prompt, with what stands for media before it.
Result<std::vector<std::int32_t>> PromptIds(const GenerateRequest& request,
                                            const std::optional<model::Tokenizer>& tokenizer,
                                            const std::string& message, std::int64_t vocabulary) {
  if (request.prompt) {
    std::string text = message;
    if (request.chat) {
      TYLLM_ASSIGN(text, model::WriteChatPrompt(request.model, text, *request.chat));
    }
    return tokenizer->Encode(text);
  }
  return NarrowIds(request.ids, vocabulary);
}

/// The prompt's tokens, and the images among them where there are any.
Result<forward::VisualSequence> Prompt(const GenerateRequest& request, const forward::Model& model,
                                       const std::optional<model::Tokenizer>& tokenizer,
                                       tensor::Backend& backend) {
  forward::VisualSequence sequence;
  std::string message = request.prompt.value_or(std::string());
  const std::int64_t vocabulary = model.shape().vocabulary;
  if (request.media.empty()) {
    TYLLM_ASSIGN(sequence.ids, PromptIds(request, tokenizer, message, vocabulary));
    return sequence;
  }
  TYLLM_ASSIGN(const forward::VisualPrompter prompter, forward::VisualPrompter::Open(model));
  TYLLM_ASSIGN(std::vector<vision::LoadedMedium> media, prompter.Load(request.media));
  if (request.prompt) {
    TYLLM_ASSIGN(message, prompter.Write(*tokenizer, message, media));
  }
  TYLLM_ASSIGN(const std::vector<std::int32_t> ids,
               PromptIds(request, tokenizer, message, vocabulary));
  return prompter.Read({ids, std::move(media)}, backend);
}

Result<Generation> GenerateOn(const GenerateRequest& request, const Clock& clock,
                              domain::ProgressSink& progress) {
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend(request.device, request.threads));
  TYLLM_ASSIGN(const forward::Model model, forward::OpenModel(request.model));
  TYLLM_ASSIGN(const std::optional<model::Tokenizer> tokenizer, LoadTokenizer(request));
  Generation generation;
  TYLLM_ASSIGN(const forward::VisualSequence prompt, Prompt(request, model, tokenizer, *backend));
  generation.prompt_ids = prompt.ids;
  std::vector<std::int32_t> stop;
  if (request.stop) {
    TYLLM_ASSIGN(stop, model::StopTokens(request.model));
  }
  forward::Generator generator(model, *backend);
  std::int64_t count = 0;
  const auto tell = [&](std::int32_t /*token*/) {
    progress.Report({.stage = "generate",
                     .done = ++count,
                     .total = request.max_tokens,
                     .unit = "tokens",
                     .message = {}});
  };
  const Clock::Steady start = clock.Now();
  TYLLM_ASSIGN(generation.token_ids, generator.Generate({.prompt = generation.prompt_ids,
                                                         .max_tokens = request.max_tokens,
                                                         .stop = std::move(stop),
                                                         .sampling = {},
                                                         .visual = prompt.visual},
                                                        tell));
  generation.seconds = std::chrono::duration<double>(clock.Now() - start).count();
  if (generation.seconds > 0.0) {
    generation.tokens_per_second =
        static_cast<double>(generation.token_ids.size()) / generation.seconds;
  }
  if (tokenizer) {
    generation.text = tokenizer->Decode(generation.token_ids);
  }
  return generation;
}

}  // namespace

Result<Generation> Generate(const GenerateRequest& request, const Clock& clock,
                            domain::ProgressSink& progress) {
  return tensor::CatchDeviceErrors([&] { return GenerateOn(request, clock, progress); });
}

}  // namespace tyllm::evaluate
