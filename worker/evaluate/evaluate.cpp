// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/evaluate.h"

#include <chrono>
#include <utility>

#include "common/base/staging.h"
#include "worker/evaluate/chat.h"
#include "worker/evaluate/judge.h"
#include "worker/evaluate/multiple_choice.h"
#include "worker/evaluate/perplexity.h"
#include "worker/evaluate/samples.h"

namespace tyllm::evaluate {

namespace {

constexpr const char* kWork = "evaluate";  ///< what a killed run leaves is of no use

std::string FolderName(const Path& directory) {
  const Path whole = std::filesystem::absolute(directory).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

ModelScore Introduce(const Participant& participant) {
  return {.name = FolderName(participant.directory),
          .format = participant.model.checkpoint.format(),
          .group_size = participant.model.checkpoint.group_size(),
          .nll = {},
          .perplexity = {}};
}

Status Open(const Path& directory, std::vector<Participant>& models) {
  TYLLM_ASSIGN(forward::Model model, forward::OpenModel(directory));
  TYLLM_ASSIGN(model::Tokenizer tokenizer, model::Tokenizer::Load(directory));
  models.push_back({directory, std::move(model), std::move(tokenizer)});
  return OkStatus();
}

/// All that is evaluated, opened and checked.
struct Work {
  std::vector<Participant> models;
  std::optional<ReadText> text;
  std::optional<ReadQuestions> questions;
  std::vector<domain::Condition> conditions;
  std::optional<model::ChatPrompt> chat;

  AskOptions Ask(const Request& request) const {
    return {.options = &request.options, .chat = &chat};
  }

  SampleOptions Samples(const Request& request) const {
    return {.prompts = request.options.prompts,
            .chat = chat,
            .max_tokens = request.options.max_tokens,
            .stop = request.options.stop,
            .media = request.media};
  }
};

Result<Work> Prepare(const Request& request, FileSystem& files) {
  Work work;
  TYLLM_TRY(domain::Check(request.options));
  for (const std::string& text : request.options.fail_if) {
    TYLLM_ASSIGN(work.conditions.emplace_back(), domain::Condition::Parse(text));
  }
  if (!request.text && !request.questions && !request.visual_questions &&
      request.options.prompts.empty()) {
    return InvalidArgument("there is nothing to evaluate, expected a text, questions or prompts");
  }
  work.chat = ChatPromptOf(request.options.chat);
  TYLLM_TRY(Open(request.model, work.models));
  if (request.reference) {
    TYLLM_TRY(Open(*request.reference, work.models));
  }
  if (request.text) {
    TYLLM_ASSIGN(work.text, PrepareText(files, *request.text, request.options, work.models));
  }
  if (request.questions) {
    TYLLM_ASSIGN(work.questions,
                 PrepareQuestions(files, *request.questions, work.Ask(request), work.models));
  }
  if (request.visual_questions) {
    TYLLM_TRY(
        CheckVisualChoices(*request.visual_questions, request.options.max_questions, work.models));
  }
  TYLLM_TRY(CheckSamples(work.Samples(request), work.models));
  return work;
}

/// The report's figures before they are known: what conditions may be on.
Report OutlineOf(const Request& request, const Work& work) {
  const bool compared = work.models.size() == 2;
  Report outline;
  outline.model = Introduce(work.models[0]);
  if (compared) {
    outline.reference = Introduce(work.models[1]);
  }
  if (work.text) {
    outline.text = work.text->scope;
    outline.model.nll = outline.model.perplexity = 0.0;
    outline.tokens_per_second = 0.0;
    if (compared) {
      outline.reference->nll = outline.reference->perplexity = 0.0;
      outline.perplexity_increase = outline.kl_divergence = outline.top1_agreement = 0.0;
    }
  }
  if (work.questions) {
    const domain::AnswerMode mode = request.options.answers;
    outline.questions = work.questions->Scope(request.options);
    if (mode != domain::AnswerMode::kGenerated) {
      outline.choice = EmptyReportOf(work.questions->set, compared);
    }
    if (mode != domain::AnswerMode::kLikelihood) {
      outline.generated = EmptyReportOf(work.questions->set, compared);
    }
  }
  if (request.visual_questions) {
    outline.visual = EmptyVisualReport(compared);
  }
  return outline;
}

Result<std::optional<Staging>> StageOutput(const Request& request, FileSystem& files) {
  if (!request.out) {
    return std::optional<Staging>();
  }
  TYLLM_ASSIGN(Staging staged,
               Staging::Open(files, *request.out, kWork, Staging::Unfinished::kNever));
  return std::optional<Staging>(std::move(staged));
}

Status WriteReport(const Report& report, const std::string& answers, FileSystem& files,
                   Staging& staged) {
  if (!answers.empty()) {
    TYLLM_TRY(WriteFileAtomically(files, staged.path() / kAnswersFile, answers));
  }
  TYLLM_TRY(WriteFileAtomically(files, staged.path() / kReportFile,
                                format::PrettyJson(format::ToJson(report))));
  return staged.Commit();
}

double SecondsSince(const Clock& clock, Clock::Steady start) {
  return std::chrono::duration<double>(clock.Now() - start).count();
}

/// The measurements, into `report`. Gives the answers to questions as lines.
Result<std::string> Measure(const Request& request, const Work& work, tensor::Backend& backend,
                            const Clock& clock, domain::ProgressSink& progress, Report& report) {
  const Clock::Steady start = clock.Now();
  if (work.text) {
    TYLLM_TRY(MeasurePerplexity(*work.text, work.models, backend, progress, report));
    const double seconds = SecondsSince(clock, start);
    const auto tokens = static_cast<double>(report.text->windows * report.text->window);
    report.tokens_per_second = seconds > 0.0 ? tokens / seconds : 0.0;
  }
  std::string answers;
  if (work.questions) {
    TYLLM_ASSIGN(answers, MeasureChoices(*work.questions, work.Ask(request), work.models, backend,
                                         progress, report));
  }
  if (request.visual_questions) {
    TYLLM_ASSIGN(report.visual, EvaluateVisualChoices({.model = request.model,
                                                       .reference = request.reference,
                                                       .questions = *request.visual_questions,
                                                       .most = request.options.max_questions,
                                                       .device = request.device,
                                                       .threads = request.threads},
                                                      progress));
  }
  if (!request.options.prompts.empty()) {
    TYLLM_ASSIGN(report.samples,
                 WriteSamples(work.Samples(request), work.models, backend, progress));
  }
  return answers;
}

}  // namespace

namespace {

Result<Report> EvaluateOn(const Request& request, FileSystem& files, const Clock& clock,
                          domain::ProgressSink& progress) {
  const Clock::Steady start = clock.Now();
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend(request.device, request.threads));
  TYLLM_ASSIGN(const Work work, Prepare(request, files));
  TYLLM_TRY(CheckFigures(work.conditions, OutlineOf(request, work)));
  TYLLM_ASSIGN(std::optional<Staging> staged, StageOutput(request, files));
  Report report;
  report.model = Introduce(work.models[0]);
  if (request.reference) {
    report.reference = Introduce(work.models[1]);
  }
  report.device = backend->name();
  TYLLM_ASSIGN(const std::string answers,
               Measure(request, work, *backend, clock, progress, report));
  report.seconds = SecondsSince(clock, start);
  report.conditions = Judge(work.conditions, report);
  if (staged) {
    TYLLM_TRY(WriteReport(report, answers, files, *staged));
  }
  return report;
}

}  // namespace

Result<Report> Evaluate(const Request& request, FileSystem& files, const Clock& clock,
                        domain::ProgressSink& progress) {
  return tensor::CatchDeviceErrors([&] { return EvaluateOn(request, files, clock, progress); });
}

}  // namespace tyllm::evaluate
