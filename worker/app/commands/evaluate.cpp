// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/evaluate.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "common/base/thread_count.h"
#include "common/cli/task_option_rows.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/media_options.h"
#include "worker/evaluate/chat.h"
#include "worker/evaluate/dump.h"
#include "worker/evaluate/generate.h"
#include "worker/evaluate/judge.h"
#include "worker/evaluate/report_text.h"

namespace tyllm::app {

namespace {

/// What the options are bound to.
struct EvaluateArguments {
  Path model;
  std::optional<Path> reference;
  std::optional<Path> perplexity;
  std::optional<Path> questions;
  std::optional<Path> visual_questions;
  domain::EvaluateOptions options;
  std::optional<Path> out;
  std::vector<std::int64_t> token_ids;
  std::optional<Path> dump;
  MediaArguments files;
  bool generate = false;
  std::string device = "auto";
  std::int64_t threads = 0;
  bool json = false;

  std::vector<vision::Medium> Media() const { return files.ToMedia(options.video_fps); }
};

/// The report, and whether a condition holds of it.
Result<cli::ExitCode> RunReport(const EvaluateArguments& arguments, const Invocation& invocation) {
  TYLLM_ASSIGN(const evaluate::Report report,
               evaluate::Evaluate({.model = arguments.model,
                                   .reference = arguments.reference,
                                   .text = arguments.perplexity,
                                   .questions = arguments.questions,
                                   .visual_questions = arguments.visual_questions,
                                   .options = arguments.options,
                                   .media = arguments.Media(),
                                   .device = arguments.device,
                                   .threads = static_cast<int>(arguments.threads),
                                   .out = arguments.out},
                                  LocalFileSystem(), SystemClock(), *invocation.OpenProgress()));
  std::cout << (arguments.json ? format::PrettyJson(format::ToJson(report))
                               : evaluate::ReportText(report))
            << std::flush;
  const std::string violations = evaluate::Violations(report);
  if (violations.empty()) {
    return cli::ExitCode::kOk;
  }
  cli::ReportError(Aborted(violations), arguments.json);
  return cli::ExitCode::kConditionHolds;
}

Status RunDump(const EvaluateArguments& arguments) {
  TYLLM_TRY(evaluate::Dump({.model = arguments.model,
                            .ids = arguments.token_ids,
                            .media = arguments.Media(),
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
  const std::vector<std::string>& prompts = arguments.options.prompts;
  TYLLM_ASSIGN(
      const evaluate::Generation generation,
      evaluate::Generate({.model = arguments.model,
                          .prompt = prompts.empty() ? std::nullopt : std::optional(prompts.front()),
                          .chat = evaluate::ChatPromptOf(arguments.options.chat),
                          .ids = arguments.token_ids,
                          .media = arguments.Media(),
                          .max_tokens = arguments.options.max_tokens,
                          .stop = arguments.options.stop,
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

/// Which of the command's works the options ask for.
enum class Task { kReport, kDump, kGenerate };

/// What was asked for, or what is wrong with asking so.
Result<Task> Choose(const EvaluateArguments& arguments) {
  const std::size_t prompts = arguments.options.prompts.size();
  const bool has_ids = !arguments.token_ids.empty();
  TYLLM_TRY(CheckThreadCount("--threads", arguments.threads));
  TYLLM_TRY(CheckVideoRate(arguments.options.video_fps, arguments.files));
  TYLLM_TRY(domain::Check(arguments.options.chat));
  if (arguments.options.chat.enabled && prompts == 0 &&
      (!arguments.questions || arguments.options.answers == domain::AnswerMode::kLikelihood)) {
    return InvalidArgument(
        "--chat needs --prompt TEXT, the message to answer, or --questions with --answers "
        "generated or both");
  }
  const bool asks_for_report = arguments.perplexity || arguments.questions ||
                               arguments.visual_questions || arguments.reference || arguments.out ||
                               !arguments.options.fail_if.empty();
  const bool works_on_ids = arguments.dump || has_ids || (arguments.generate && prompts == 0);
  if (works_on_ids) {
    const bool is_one = arguments.dump.has_value() != arguments.generate;
    if (!is_one || !has_ids || asks_for_report || prompts > 0) {
      return InvalidArgument(
          "--token-ids LIST needs --dump FILE or --generate, and these need --token-ids and stand "
          "alone: no text, questions, prompts, reference, output folder or conditions");
    }
    return arguments.dump ? Task::kDump : Task::kGenerate;
  }
  if (!arguments.perplexity && !arguments.questions && !arguments.visual_questions &&
      prompts == 0) {
    return InvalidArgument(
        "nothing to evaluate, expected some of --perplexity FILE, --questions PATH, "
        "--visual-questions PATH, --prompt TEXT, or one of --token-ids LIST --dump FILE, "
        "--token-ids LIST --generate");
  }
  if (prompts == 0 && !arguments.Media().empty()) {
    return InvalidArgument("--image and --video need --prompt, --dump or --generate");
  }
  return prompts == 1 && !asks_for_report ? Task::kGenerate : Task::kReport;
}

Result<cli::ExitCode> Run(const EvaluateArguments& arguments, const Invocation& invocation) {
  TYLLM_ASSIGN(const Task task, Choose(arguments));
  switch (task) {
    case Task::kReport:
      return RunReport(arguments, invocation);
    case Task::kDump:
      TYLLM_TRY(RunDump(arguments));
      return cli::ExitCode::kOk;
    case Task::kGenerate:
      TYLLM_TRY(RunGenerate(arguments, invocation));
      return cli::ExitCode::kOk;
  }
  return Internal("tyllm evaluate has a task that it does not run");
}

std::vector<cli::Option> Options(EvaluateArguments& arguments) {
  return {
      {"--model", "DIR", "model to evaluate, float or quantized", &arguments.model, true},
      {"--perplexity", "FILE", "text to compute the perplexity on", &arguments.perplexity},
      {"--questions", "PATH",
       "multiple-choice questions in MMLU's format: a CSV file, or a folder of them",
       &arguments.questions},
      {"--visual-questions", "PATH",
       "multiple-choice questions about images: a TSV file, or a folder with one",
       &arguments.visual_questions},
      {"--reference", "DIR", "model to compare with (usually the float one)", &arguments.reference},
      {"--out", "DIR", "folder to create with evaluation.json and the answers to questions",
       &arguments.out},
      {"--token-ids", "LIST", "tokens to run, for --dump and --generate", &arguments.token_ids},
      {"--dump", "FILE", "write logits and hidden states as safetensors", &arguments.dump},
      {"--generate", "", "continue --token-ids, greedily", &arguments.generate},
      {"--device", "NAME", "auto, cpu or cuda:N", &arguments.device},
      {"--threads", "N", "CPU threads; 0 is one a CPU", &arguments.threads},
      {"--json", "", "print one JSON document", &arguments.json},
  };
}

}  // namespace

void DeclareEvaluate(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<EvaluateArguments>();
  spec.description =
      "Runs a model in float32 from its stored weights: how well it predicts a text and answers "
      "questions, how it continues prompts, how far it is from a reference, or what it computes "
      "for "
      "given tokens.";
  spec.options = Options(*arguments);
  cli::AddMedia(spec, {}, arguments->files.images, arguments->files.videos);
  cli::AddOptions(spec, arguments->options);
  spec.examples = {
      "tyllm evaluate --model MODEL --perplexity test.txt",
      "tyllm evaluate --model QUANTIZED --reference MODEL --perplexity test.txt --json",
      "tyllm evaluate --model QUANTIZED --reference MODEL --questions mmlu/ --shots 5 "
      "--fail-if 'choice.accuracy_drop>0.02'",
      "tyllm evaluate --model MODEL --token-ids 1,2,3 --dump states.safetensors",
      "tyllm evaluate --model MODEL --prompt 'The river' --max-tokens 32",
      "tyllm evaluate --model MODEL --image photo.jpg --chat --prompt 'What is this?'",
  };
  spec.run = [arguments, &invocation] {
    const Result<cli::ExitCode> code = Run(*arguments, invocation);
    return code.ok() ? *code : cli::ReportError(code.status(), arguments->json);
  };
}

}  // namespace tyllm::app
