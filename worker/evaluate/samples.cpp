// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/samples.h"

#include <algorithm>
#include <utility>

#include "worker/forward/generator.h"
#include "worker/forward/visual_prompt.h"
#include "worker/model/generation_config.h"

namespace tyllm::evaluate {

namespace {

using Requests = std::vector<forward::Generator::Request>;

Result<std::vector<std::int32_t>> Encode(const SampleOptions& options,
                                         const Participant& participant, std::string text) {
  if (options.chat) {
    TYLLM_ASSIGN(text, model::WriteChatPrompt(participant.directory, text, *options.chat));
  }
  return participant.tokenizer.Encode(text);
}

/// Of a prompt about images and videos: placeholders stand for them.
Result<forward::VisualPrompt> Write(const SampleOptions& options, const Participant& participant,
                                    const forward::VisualPrompter& prompter,
                                    const std::string& prompt) {
  forward::VisualPrompt asked;
  TYLLM_ASSIGN(asked.media, prompter.Load(options.media));
  TYLLM_ASSIGN(const std::string text, prompter.Write(participant.tokenizer, prompt, asked.media));
  TYLLM_ASSIGN(asked.ids, Encode(options, participant, text));
  return asked;
}

/// The tower runs once for each prompt.
Result<forward::VisualSequence> Look(const SampleOptions& options, const Participant& participant,
                                     const forward::VisualPrompter& prompter,
                                     const std::string& prompt, tensor::Backend& backend) {
  TYLLM_ASSIGN(forward::VisualPrompt asked, Write(options, participant, prompter, prompt));
  return prompter.Read(std::move(asked), backend);
}

/// None where there is nothing to see.
Result<std::optional<forward::VisualPrompter>> OpenPrompter(const SampleOptions& options,
                                                            const Participant& participant) {
  if (options.media.empty()) {
    return std::optional<forward::VisualPrompter>();
  }
  TYLLM_ASSIGN(forward::VisualPrompter prompter, forward::VisualPrompter::Open(participant.model));
  return std::optional(std::move(prompter));
}

/// Tokens of a prompt, those of its media included.
Result<std::int64_t> LengthOf(const SampleOptions& options, const Participant& participant,
                              const std::optional<forward::VisualPrompter>& prompter,
                              const std::string& prompt) {
  if (!prompter) {
    TYLLM_ASSIGN(const std::vector<std::int32_t> ids, Encode(options, participant, prompt));
    return std::ssize(ids);
  }
  TYLLM_ASSIGN(const forward::VisualPrompt asked, Write(options, participant, *prompter, prompt));
  TYLLM_ASSIGN(const std::vector<std::int32_t> ids,
               vision::ExpandPlaceholders(prompter->tower().shape, asked.ids, asked.media));
  return std::ssize(ids);
}

Result<Requests> RequestsOf(const SampleOptions& options, const Participant& participant,
                            tensor::Backend& backend) {
  std::vector<std::int32_t> stop;
  if (options.stop) {
    TYLLM_ASSIGN(stop, model::StopTokens(participant.directory));
  }
  TYLLM_ASSIGN(const std::optional<forward::VisualPrompter> prompter,
               OpenPrompter(options, participant));
  Requests requests;
  for (const std::string& prompt : options.prompts) {
    forward::VisualSequence sequence;
    if (prompter) {
      TYLLM_ASSIGN(sequence, Look(options, participant, *prompter, prompt, backend));
    } else {
      TYLLM_ASSIGN(sequence.ids, Encode(options, participant, prompt));
    }
    requests.push_back({.prompt = std::move(sequence.ids),
                        .max_tokens = options.max_tokens,
                        .stop = stop,
                        .sampling = {},
                        .visual = std::move(sequence.visual)});
  }
  return requests;
}

}  // namespace

Status CheckSamples(const SampleOptions& options, Participants models) {
  for (const Participant& participant : models) {
    TYLLM_ASSIGN(const std::optional<forward::VisualPrompter> prompter,
                 OpenPrompter(options, participant));
    for (std::size_t i = 0; i < options.prompts.size(); ++i) {
      const std::string what = participant.directory.string() + ": prompt " + std::to_string(i + 1);
      Result<std::int64_t> length = LengthOf(options, participant, prompter, options.prompts[i]);
      if (!length.ok()) {
        return length.status().Annotate(what);
      }
      TYLLM_TRY(forward::CheckRoom(participant.model.shape(), *length, options.max_tokens)
                    .Annotate(what));
    }
  }
  return OkStatus();
}

Result<std::vector<Sample>> WriteSamples(const SampleOptions& options, Participants models,
                                         tensor::Backend& backend, domain::ProgressSink& progress) {
  std::vector<Sample> samples;
  for (const std::string& prompt : options.prompts) {
    samples.push_back({.prompt = prompt, .model = {}, .reference = {}, .same_tokens = {}});
  }
  std::int64_t done = 0;
  const auto tell = [&](std::size_t /*text*/) {
    progress.Report({.stage = "generate",
                     .done = ++done,
                     .total = static_cast<std::int64_t>(samples.size() * models.size()),
                     .unit = "texts",
                     .message = {}});
  };
  for (std::size_t m = 0; m < models.size(); ++m) {
    TYLLM_ASSIGN(const Requests requests, RequestsOf(options, models[m], backend));
    forward::Generator generator(models[m].model, backend);
    TYLLM_ASSIGN(auto generated, generator.GenerateAll(requests, tell));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::string text = models[m].tokenizer.Decode(generated[i]);
      Continuation continuation{.token_ids = std::move(generated[i]), .text = text};
      if (m == 0) {
        samples[i].model = std::move(continuation);
        continue;
      }
      const auto [a, b] = std::ranges::mismatch(samples[i].model.token_ids, continuation.token_ids);
      samples[i].same_tokens = a - samples[i].model.token_ids.begin();
      samples[i].reference = std::move(continuation);
    }
  }
  return samples;
}

}  // namespace tyllm::evaluate
