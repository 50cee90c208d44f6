// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/evaluate.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "common/cli/task_option_rows.h"
#include "worker/app/commands/chat_options.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/media_options.h"
#include "worker/evaluate/condition.h"
#include "worker/evaluate/dump.h"
#include "worker/evaluate/generate.h"
#include "worker/evaluate/visual_choice.h"

namespace tyllm::app {

namespace {

/// What the options are bound to.
struct EvaluateArguments {
  Path model;
  std::optional<Path> reference;
  std::optional<Path> perplexity;
  std::optional<Path> visual_questions;
  std::int64_t max_questions = 0;
  domain::EvaluateOptions options;
  std::optional<Path> out;
  std::optional<std::string> fail_if;
  std::vector<std::int64_t> token_ids;
  std::optional<Path> dump;
  std::optional<std::string> prompt;
  ChatArguments chat;
  MediaArguments media;
  bool generate = false;
  std::int64_t max_tokens = 64;
  bool stop = true;
  std::string device = "auto";
  std::int64_t threads = 0;
  bool json = false;
};

void PrintScore(const char* label, const evaluate::ModelScore& score) {
  std::string storage(NamesOf(score.format).Name(score.format));
  if (score.group_size > 0) {
    storage += ", group " + std::to_string(score.group_size);
  }
  std::printf("%-20s %.4f  (%s; %s)\n", label, score.perplexity, score.name.c_str(),
              storage.c_str());
}

void Print(const evaluate::Report& report) {
  PrintScore("perplexity", report.model);
  if (report.reference) {
    PrintScore("reference", *report.reference);
    std::printf("%-20s %+.2f %%\n", "increase", 100.0 * *report.perplexity_increase);
    std::printf("%-20s %.5f nats\n", "KL divergence", *report.kl_divergence);
    std::printf("%-20s %.2f %%\n", "same top token", 100.0 * *report.top1_agreement);
  }
  std::printf("%-20s %s: %lld tokens, %lld windows of %lld, %lld predicted\n", "text",
              report.text.name.c_str(), static_cast<long long>(report.text.tokens),
              static_cast<long long>(report.text.windows),
              static_cast<long long>(report.text.window),
              static_cast<long long>(report.text.predictions));
  std::printf("%-20s %.1f s on %s, %.0f tokens/s\n", "time", report.seconds, report.device.c_str(),
              report.tokens_per_second);
}

/// The report is printed, then judged.
Status Judge(const evaluate::Report& report, const std::optional<evaluate::Condition>& fail_if) {
  if (!fail_if) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const bool holds, fail_if->HoldsOf(report));
  return holds ? Aborted("--fail-if " + fail_if->text + " holds of this report") : OkStatus();
}

Status RunPerplexity(const EvaluateArguments& arguments, const Invocation& invocation) {
  std::optional<evaluate::Condition> fail_if;
  if (arguments.fail_if) {
    TYLLM_ASSIGN(fail_if, evaluate::Condition::Parse(*arguments.fail_if));
    TYLLM_TRY(fail_if->CheckFigure(arguments.reference.has_value()));
  }
  TYLLM_ASSIGN(const evaluate::Report report,
               evaluate::Evaluate({.model = arguments.model,
                                   .reference = arguments.reference,
                                   .text = *arguments.perplexity,
                                   .options = arguments.options,
                                   .device = arguments.device,
                                   .threads = static_cast<int>(arguments.threads),
                                   .out = arguments.out},
                                  LocalFileSystem(), SystemClock(), *invocation.OpenProgress()));
  if (arguments.json) {
    std::cout << format::PrettyJson(format::ToJson(report)) << std::flush;
  } else {
    Print(report);
  }
  return Judge(report, fail_if);
}

Status RunDump(const EvaluateArguments& arguments) {
  TYLLM_TRY(evaluate::Dump({.model = arguments.model,
                            .ids = arguments.token_ids,
                            .media = arguments.media.ToMedia(),
                            .file = *arguments.dump,
                            .device = arguments.device,
                            .threads = static_cast<int>(arguments.threads)},
                           LocalFileSystem()));
  if (arguments.json) {
    std::cout << format::PrettyJson(
        format::Json{{"dump", arguments.dump->string()}, {"tokens", arguments.token_ids.size()}});
  } else {
    std::printf("wrote %s: input_ids, logits and hidden states of %zu tokens\n",
                arguments.dump->c_str(), arguments.token_ids.size());
  }
  return OkStatus();
}

void Print(const evaluate::Generation& generation) {
  if (generation.text) {
    std::printf("%s\n", generation.text->c_str());
    return;
  }
  std::string list;
  for (const std::int32_t id : generation.token_ids) {
    list += (list.empty() ? "" : ",") + std::to_string(id);
  }
  std::printf("%s\n", list.c_str());
}

Status RunGenerate(const EvaluateArguments& arguments, const Invocation& invocation) {
  TYLLM_ASSIGN(const std::optional<model::ChatPrompt> chat, arguments.chat.ToPrompt());
  TYLLM_ASSIGN(const evaluate::Generation generation,
               evaluate::Generate({.model = arguments.model,
                                   .prompt = arguments.prompt,
                                   .chat = chat,
                                   .ids = arguments.token_ids,
                                   .media = arguments.media.ToMedia(),
                                   .max_tokens = arguments.max_tokens,
                                   .stop = arguments.stop,
                                   .device = arguments.device,
                                   .threads = static_cast<int>(arguments.threads)},
                                  SystemClock(), *invocation.OpenProgress()));
  if (arguments.json) {
    std::cout << format::PrettyJson(format::ToJson(generation));
  } else {
    Print(generation);
  }
  return OkStatus();
}

Status RunVisualQuestions(const EvaluateArguments& arguments, const Invocation& invocation) {
  TYLLM_ASSIGN(const evaluate::VisualChoiceReport report,
               evaluate::EvaluateVisualChoices({.model = arguments.model,
                                                .reference = arguments.reference,
                                                .questions = *arguments.visual_questions,
                                                .most = arguments.max_questions,
                                                .device = arguments.device,
                                                .threads = static_cast<int>(arguments.threads)},
                                               *invocation.OpenProgress()));
  std::cout << (arguments.json ? format::PrettyJson(format::ToJson(report))
                               : evaluate::ReportText(report))
            << std::flush;
  return OkStatus();
}

/// What was asked for, or what is wrong with asking so.
Status Run(const EvaluateArguments& arguments, const Invocation& invocation) {
  const bool generate = arguments.generate || arguments.prompt;
  if (arguments.visual_questions && !arguments.perplexity && !arguments.dump && !generate &&
      arguments.token_ids.empty() && arguments.max_questions >= 0) {
    return RunVisualQuestions(arguments, invocation);
  }
  const int asked = (arguments.perplexity ? 1 : 0) + (arguments.visual_questions ? 1 : 0) +
                    (arguments.dump ? 1 : 0) + (generate ? 1 : 0);
  if (asked != 1) {
    return InvalidArgument(
        std::string(asked == 0 ? "nothing to evaluate" : "several things to do at once") +
        ", expected one of: --perplexity FILE, --token-ids LIST --dump FILE, --prompt TEXT, "
        "--token-ids LIST --generate, --visual-questions FILE");
  }
  if (arguments.threads < 0 || arguments.threads > 4096) {
    return InvalidArgument("--threads is " + std::to_string(arguments.threads) +
                           ", expected 0 (all CPUs) to 4096");
  }
  if (!arguments.perplexity && (arguments.reference || arguments.out || arguments.fail_if)) {
    return InvalidArgument("--reference, --out and --fail-if need --perplexity FILE");
  }
  if (arguments.perplexity && !arguments.media.ToMedia().empty()) {
    return InvalidArgument("--image and --video need --prompt, --dump or --generate");
  }
  if (arguments.perplexity) {
    return arguments.token_ids.empty()
               ? RunPerplexity(arguments, invocation)
               : InvalidArgument("--token-ids needs --dump or --generate, not --perplexity");
  }
  if (arguments.chat.chat && !arguments.prompt) {
    return InvalidArgument("--chat needs --prompt TEXT: the message to answer");
  }
  if (arguments.prompt ? !arguments.token_ids.empty() : arguments.token_ids.empty()) {
    return InvalidArgument(arguments.prompt ? "--prompt and --token-ids are both given, expected "
                                              "one of them"
                                            : "--token-ids is missing: the tokens to run");
  }
  return arguments.dump ? RunDump(arguments) : RunGenerate(arguments, invocation);
}

std::vector<cli::Option> Options(EvaluateArguments& arguments) {
  return {
      {"--model", "DIR", "model to evaluate, float or quantized", &arguments.model, true},
      {"--perplexity", "FILE", "text to compute the perplexity on", &arguments.perplexity},
      {"--visual-questions", "FILE", "TSV of multiple-choice questions about images",
       &arguments.visual_questions},
      {"--max-questions", "N", "only the first N of them; 0: all", &arguments.max_questions},
      {"--reference", "DIR", "model to compare with (usually the float one)", &arguments.reference},
      {"--out", "DIR", "folder to create with evaluation.json", &arguments.out},
      {"--fail-if", "CONDITION", "exit with 1 when it holds, e.g. 'perplexity_increase>0.05'",
       &arguments.fail_if},
      {"--token-ids", "LIST", "tokens to run, for --dump and --generate", &arguments.token_ids},
      {"--dump", "FILE", "write logits and hidden states as safetensors", &arguments.dump},
      {"--prompt", "TEXT", "text to continue, greedily", &arguments.prompt},
      {"--generate", "", "continue --token-ids, greedily", &arguments.generate},
      {"--max-tokens", "N", "tokens to generate", &arguments.max_tokens},
      {"--stop,!--no-stop", "", "end generation at the model's end tokens", &arguments.stop},
      {"--device", "NAME", "auto, cpu or cuda:N", &arguments.device},
      {"--threads", "N", "CPU threads; 0 is one a CPU", &arguments.threads},
      {"--json", "", "print one JSON document", &arguments.json},
  };
}

}  // namespace

void DeclareEvaluate(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<EvaluateArguments>();
  spec.description =
      "Runs a model in float32 from its stored weights: how well it predicts a text, how far it is "
      "from a reference, what it computes for given tokens, or how it continues a prompt.";
  spec.options = Options(*arguments);
  AddChatOptions(spec, arguments->chat);
  AddMediaOptions(spec, arguments->media);
  cli::AddOptions(spec, arguments->options);
  spec.examples = {
      "tyllm evaluate --model MODEL --perplexity test.txt",
      "tyllm evaluate --model QUANTIZED --reference MODEL --perplexity test.txt --json",
      "tyllm evaluate --model MODEL --token-ids 1,2,3 --dump states.safetensors",
      "tyllm evaluate --model MODEL --prompt 'The river' --max-tokens 32",
      "tyllm evaluate --model MODEL --image photo.jpg --chat --prompt 'What is this?'",
  };
  spec.run = [arguments, &invocation] {
    const Status status = Run(*arguments, invocation);
    return status.ok() ? cli::ExitCode::kOk : cli::ReportError(status, arguments->json);
  };
}

}  // namespace tyllm::app
