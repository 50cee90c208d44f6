// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>

#include "common/base/thread_count.h"
#include "common/cli/task_option_rows.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/media_options.h"
#include "worker/artifact/layout.h"
#include "worker/evaluate/chat.h"
#include "worker/simulator/run_model.h"

namespace tyllm::app {

namespace {

void PrintSummary(const simulator::RunReport& report) {
  std::fprintf(stderr, "\n[%s] %zu tokens read at %.1f/s, %zu written at %.1f/s\n",
               report.model.c_str(), report.prompt_ids.size(), report.prefill_tokens_per_second,
               report.token_ids.size(), report.decode_tokens_per_second);
}

struct RunArguments {
  simulator::RunRequest request;
  domain::ChatOptions chat;
  MediaArguments media;
  std::optional<double> video_fps;
  bool interactive = false;
  bool json = false;
};

void PrintText(std::string_view text) {
  std::cout << text << std::flush;
}

/// Answers line after line, until the input ends. What goes wrong with one message is told, and the
/// next one is asked for.
cli::ExitCode Converse(const simulator::RunRequest& request) {
  auto conversation = simulator::Conversation::Open(request);
  if (!conversation.ok()) {
    return cli::ReportError(conversation.status(), false);
  }
  std::string line;
  while (std::cerr << "> " << std::flush, std::getline(std::cin, line)) {
    if (line.empty()) {
      continue;
    }
    const auto report = conversation->Answer(line, SystemClock(), PrintText);
    if (!report.ok()) {
      cli::ReportError(report.status(), false);
      continue;
    }
    std::cout << '\n' << std::flush;
    PrintSummary(*report);
  }
  return cli::ExitCode::kOk;
}

cli::ExitCode RunOnce(const simulator::RunRequest& request, bool json) {
  const auto report = simulator::RunModel(
      request, SystemClock(), json ? simulator::OnText() : simulator::OnText(PrintText));
  if (!report.ok()) {
    return cli::ReportError(report.status(), json);
  }
  if (json) {
    std::cout << format::PrettyJson(format::ToJson(*report));
  } else {
    std::cout << '\n' << std::flush;
    PrintSummary(*report);
  }
  return cli::ExitCode::kOk;
}

/// What only a compiled model takes.
Status CheckOptionsOfDirectory(const simulator::TextModelOptions& model) {
  const bool interprets = model.engine != simulator::TextModelOptions().engine;
  if ((!interprets && !model.exact_images) || artifact::IsArtifact(model.directory)) {
    return OkStatus();
  }
  return InvalidArgument(std::string(interprets ? "--engine" : "--exact-image-size") +
                         " is for compiled models; " + model.directory.string() +
                         " is none: leave it out, or compile the model first");
}

/// What is for drawing, where nothing is drawn.
Status CheckSampling(const simulator::RunRequest& request) {
  const auto& sampling = request.sampling;
  const std::remove_cvref_t<decltype(sampling)> initial;
  const std::pair<bool, const char*> options[] = {{sampling.top_p != initial.top_p, "--top-p"},
                                                  {sampling.top_k != initial.top_k, "--top-k"},
                                                  {sampling.seed != initial.seed, "--seed"}};
  for (const auto& [is_given, name] : options) {
    if (is_given && sampling.temperature == 0) {
      return InvalidArgument(std::string(name) +
                             " is for text that is drawn, and --temperature is 0, which always "
                             "takes the likeliest token; give a temperature, or leave it out");
    }
  }
  return OkStatus();
}

Status Check(const RunArguments& arguments) {
  TYLLM_TRY(CheckSampling(arguments.request));
  TYLLM_TRY(domain::Check(arguments.chat));
  TYLLM_TRY(CheckThreadCount("--threads", arguments.request.model.threads));
  TYLLM_TRY(CheckVideoRate(arguments.video_fps, arguments.media));
  return CheckOptionsOfDirectory(arguments.request.model);
}

cli::ExitCode Run(RunArguments& arguments) {
  arguments.chat.enabled = arguments.chat.enabled || arguments.interactive;
  if (const Status status = Check(arguments); !status.ok()) {
    return cli::ReportError(status, arguments.json);
  }
  arguments.request.chat = evaluate::ChatPromptOf(arguments.chat);
  arguments.request.media = arguments.media.ToMedia(arguments.video_fps);
  if (arguments.interactive && arguments.json) {
    return cli::ReportError(InvalidArgument("--interactive talks to a person; leave out --json"),
                            true);
  }
  return arguments.interactive ? Converse(arguments.request)
                               : RunOnce(arguments.request, arguments.json);
}

}  // namespace

void DeclareRun(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<RunArguments>();
  simulator::RunRequest& request = arguments->request;
  spec.options = {
      {"DIR", "DIR", "a compiled model, or a model directory", &request.model.directory, true},
      {"--prompt", "TEXT", "text to continue", &request.prompt},
      {"--token-ids", "LIST", "token ids to continue, instead of text", &request.token_ids},
      {"--max-tokens", "N", "new tokens at most", &request.max_tokens},
      {"--temperature", "T", "0: always the likeliest token", &request.sampling.temperature},
      {"--top-p", "P", "draw among the likeliest that together have P", &request.sampling.top_p},
      {"--top-k", "K", "draw among the K likeliest; 0: all", &request.sampling.top_k},
      {"--seed", "N", "equal seeds give equal texts", &request.sampling.seed},
      {"--interactive", "", "a conversation: every line of the input is a message",
       &arguments->interactive},
      {"--chunks", "LIST", "buckets that may be used; all by default", &request.model.chunks},
      {"--engine", "", "who runs a compiled model",
       cli::OneOf(simulator::kEngineNames, &request.model.engine)},
      {"--threads", "N", "threads; 0: one a core", &request.model.threads},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  cli::AddOptions(spec, arguments->chat);
  cli::AddMedia(spec, {}, arguments->media.images, arguments->media.videos);
  spec.options.push_back(cli::VideoRate(arguments->video_fps));
  spec.options.push_back({"--exact-image-size", "",
                          "refuse images that a compiled model would have to resize",
                          &request.model.exact_images});
  spec.description =
      "Text of a compiled model on the die simulator, or of a model directory in float32.";
  spec.examples = {
      "tyllm run Qwen3-1.7B-AOT_96_4096 --prompt \"The server is\"",
      "tyllm run Qwen3-1.7B --chat --no-thinking --prompt \"What is a die?\"",
      "tyllm run Qwen3-1.7B --interactive --temperature 0.7 --top-p 0.8 --top-k 20",
      "tyllm run Qwen3-VL-2B-AOT_960x540_8192_1die_image_00/1die --chat --image cat.jpg "
      "--prompt \"What is in the picture?\"",
      "tyllm run Qwen3-1.7B --token-ids 1,2,3 --max-tokens 20 --json"};
  spec.run = [arguments] { return Run(*arguments); };
}

}  // namespace tyllm::app
