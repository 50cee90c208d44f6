// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>

#include "worker/app/commands/chat_options.h"
#include "worker/app/commands/commands.h"
#include "worker/simulator/run_model.h"

namespace tyllm::app {

namespace {

void PrintSummary(const simulator::RunReport& report) {
  std::fprintf(stderr, "\n[%s] %zu tokens read at %.1f/s, %zu written at %.1f/s\n",
               report.model.c_str(), report.prompt_ids.size(), report.prefill_tokens_per_second,
               report.token_ids.size(), report.decode_tokens_per_second);
}

}  // namespace

void DeclareRun(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  struct Arguments {
    simulator::RunRequest request;
    ChatArguments chat;
    bool json = false;
  };

  auto arguments = std::make_shared<Arguments>();
  simulator::RunRequest& request = arguments->request;
  spec.options = {
      {"DIR", "DIR", "a compiled model, or a model directory", &request.directory, true},
      {"--prompt", "TEXT", "text to continue", &request.prompt},
      {"--token-ids", "LIST", "token ids to continue, instead of text", &request.token_ids},
      {"--max-tokens", "N", "new tokens at most", &request.max_tokens},
      {"--chunks", "LIST", "buckets that may be used; all by default", &request.chunks},
      {"--engine", "", "who runs a compiled model",
       cli::OneOf(simulator::kEngineNames, &request.engine)},
      {"--threads", "N", "threads; 0: one a core", &request.threads},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  AddChatOptions(spec, arguments->chat);
  spec.description =
      "Greedy text of a compiled model on the die simulator, or of a model directory in float32.";
  spec.examples = {"tyllm run Qwen3-1.7B-AOT_96_4096 --prompt \"The server is\"",
                   "tyllm run Qwen3-1.7B --chat --no-thinking --prompt \"What is a die?\"",
                   "tyllm run Qwen3-1.7B --token-ids 1,2,3 --max-tokens 20 --json"};
  spec.run = [arguments] {
    const bool json = arguments->json;
    auto chat = arguments->chat.ToPrompt();
    if (!chat.ok()) {
      return cli::ReportError(chat.status(), json);
    }
    arguments->request.chat = *std::move(chat);
    const simulator::OnText print = [](std::string_view text) { std::cout << text << std::flush; };
    const auto report =
        simulator::RunModel(arguments->request, SystemClock(), json ? simulator::OnText() : print);
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
  };
}

}  // namespace tyllm::app
