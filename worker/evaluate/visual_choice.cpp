// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/visual_choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include "common/base/clock.h"
#include "worker/evaluate/visual_questions.h"
#include "worker/forward/embedding_rows.h"
#include "worker/forward/streamed_pass.h"
#include "worker/forward/visual_prompt.h"
#include "worker/model/chat_template.h"
#include "worker/model/tokenizer.h"

namespace tyllm::evaluate {

namespace {

/// Patches of images that run through the model together, so that its weights are read once.
constexpr std::int64_t kPatchesAtOnce = 32768;

constexpr const char* kInstruction = "\nAnswer with the letter of the right choice only.";

/// As MMStar and its like are asked.
std::string MessageOf(const VisualQuestion& question) {
  std::string text = question.text;
  for (std::size_t i = 0; i < question.choices.size(); ++i) {
    text += std::string("\n") + static_cast<char>('A' + i) + ". " + question.choices[i];
  }
  return text + kInstruction;
}

using Letters = std::array<std::int32_t, kVisualChoices>;

/// Tokens of the letters that may be answers.
Result<Letters> FindLetters(const forward::Model& model, const model::Tokenizer& tokenizer) {
  Letters letters{};
  const std::string directory = model.checkpoint.directory().string();
  for (std::int64_t i = 0; i < kVisualChoices; ++i) {
    const std::string letter(1, static_cast<char>('A' + i));
    TYLLM_ASSIGN(const std::vector<std::int32_t> ids, tokenizer.Encode(letter));
    if (ids.size() != 1) {
      return Unimplemented(directory + ": the tokenizer has no token for the letter " + letter);
    }
    TYLLM_TRY(forward::CheckIds({.sequences = 1, .length = 1, .ids = {ids.front()}},
                                model.shape().vocabulary)
                  .Annotate(directory + ": the letter " + letter));
    letters[static_cast<std::size_t>(i)] = ids.front();
  }
  return letters;
}

/// Asks one model.
class Examinee {
 public:
  static Result<std::unique_ptr<Examinee>> Open(const Path& directory, tensor::Backend& backend) {
    TYLLM_ASSIGN(forward::Model model, forward::OpenModel(directory));
    TYLLM_ASSIGN(model::Tokenizer tokenizer, model::Tokenizer::Load(directory));
    auto examinee =
        std::unique_ptr<Examinee>(new Examinee(std::move(model), std::move(tokenizer), backend));
    TYLLM_ASSIGN(forward::VisualPrompter prompter, forward::VisualPrompter::Open(examinee->model_));
    examinee->prompter_.emplace(std::move(prompter));
    TYLLM_ASSIGN(examinee->letters_, FindLetters(examinee->model_, examinee->tokenizer_));
    return examinee;
  }

  /// The choices that the model takes.
  Result<std::vector<std::int64_t>> Answer(const std::vector<VisualQuestion>& questions,
                                           const std::function<void(std::int64_t)>& after) {
    std::vector<std::int64_t> answers;
    std::vector<forward::VisualPrompt> prompts;
    std::int64_t patches = 0;
    for (const VisualQuestion& question : questions) {
      Result<forward::VisualPrompt> prompt = Prepare(question);
      if (!prompt.ok()) {
        return prompt.status().Annotate("question of line " + std::to_string(question.line));
      }
      patches += prompt->patches();
      prompts.push_back(*std::move(prompt));
      if (patches >= kPatchesAtOnce || &question == &questions.back()) {
        const std::span<const VisualQuestion> asked(&question + 1 - prompts.size(), prompts.size());
        TYLLM_TRY(AnswerSome(std::exchange(prompts, {}), asked, answers));
        patches = 0;
        after(std::ssize(answers));
      }
    }
    return answers;
  }

 private:
  Examinee(forward::Model model, model::Tokenizer tokenizer, tensor::Backend& backend)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), backend_(backend) {}

  Status NotFinite(const VisualQuestion& question) const {
    return DataLoss("model " + model_.checkpoint.directory().string() +
                    " computes numbers that are not finite for the question of line " +
                    std::to_string(question.line) +
                    "; its weights are damaged or overflow: fetch or make it again");
  }

  Result<vision::LoadedMedium> Load(const VisualQuestion& question) const {
    const Path& directory = model_.checkpoint.directory();
    const model::VisionShape& shape = prompter_->tower().shape;
    if (question.image.empty()) {
      return vision::LoadMedium(directory, shape, {question.image_file});
    }
    TYLLM_ASSIGN(const vision::Processor processor, vision::ImageProcessorOf(directory, shape));
    TYLLM_ASSIGN(const vision::Image image, vision::DecodeImage(question.image, "its image"));
    TYLLM_ASSIGN(vision::Patches patches, vision::ProcessImage(processor, image));
    return vision::LoadedMedium{{.grid = patches.grid}, std::move(patches.values), {}};
  }

  Result<forward::VisualPrompt> Prepare(const VisualQuestion& question) {
    forward::VisualPrompt prompt;
    TYLLM_ASSIGN(prompt.media.emplace_back(), Load(question));
    TYLLM_ASSIGN(const std::string message,
                 prompter_->Write(tokenizer_, MessageOf(question), prompt.media));
    TYLLM_ASSIGN(const std::string text,
                 model::WriteChatPrompt(model_.checkpoint.directory(), message,
                                        {.system = std::nullopt, .thinking = false}));
    TYLLM_ASSIGN(prompt.ids, tokenizer_.Encode(text));
    const std::int64_t length =
        std::ssize(prompt.ids) + prompt.patches() / prompter_->tower().shape.unit();
    if (length > model_.shape().max_positions) {
      return InvalidArgument("it has " + std::to_string(length) + " tokens with its image, " +
                             "expected at most the model's " +
                             std::to_string(model_.shape().max_positions) + " positions");
    }
    return prompt;
  }

  Status AnswerSome(std::vector<forward::VisualPrompt> prompts,
                    std::span<const VisualQuestion> questions, std::vector<std::int64_t>& answers) {
    TYLLM_ASSIGN(std::vector<forward::VisualSequence> sequences,
                 prompter_->Read(std::move(prompts), backend_));
    std::vector<forward::TokenBatch> batches;
    for (forward::VisualSequence& sequence : sequences) {
      batches.push_back({.sequences = 1,
                         .length = std::ssize(sequence.ids),
                         .ids = std::move(sequence.ids),
                         .visual = std::move(sequence.visual)});
    }
    forward::BlockRunner runner(backend_, model_.shape());
    TYLLM_ASSIGN(const std::vector<tensor::Matrix> hidden,
                 forward::RunBody(model_, runner, batches));
    TYLLM_ASSIGN(const forward::Head head, forward::Head::Load(model_));
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      TYLLM_ASSIGN(const tensor::Matrix computed,
                   head.Logits(runner, hidden[i], hidden[i].rows() - 1, 1));
      const tensor::Matrix logits = backend_.Fetch(computed.view());
      const std::int64_t choices =
          questions[i].choices.empty() ? kVisualChoices : std::ssize(questions[i].choices);
      const auto likes = [&](std::size_t choice) {
        return logits.row(0)[static_cast<std::size_t>(letters_[choice])];
      };
      if (!std::ranges::all_of(logits.row(0), [](float x) { return std::isfinite(x); })) {
        return NotFinite(questions[i]);
      }
      std::size_t best = 0;
      for (std::size_t choice = 1; choice < static_cast<std::size_t>(choices); ++choice) {
        best = likes(choice) > likes(best) ? choice : best;
      }
      answers.push_back(static_cast<std::int64_t>(best));
    }
    return OkStatus();
  }

  forward::Model model_;
  model::Tokenizer tokenizer_;
  tensor::Backend& backend_;
  std::optional<forward::VisualPrompter> prompter_;
  Letters letters_{};
};

void Count(bool right, VisualAccuracy& accuracy) {
  ++accuracy.questions;
  accuracy.right += right ? 1 : 0;
  accuracy.accuracy = static_cast<double>(accuracy.right) / static_cast<double>(accuracy.questions);
}

VisualScore ScoreOf(const Path& model, const std::vector<VisualQuestion>& questions,
                    const std::vector<std::int64_t>& answers) {
  VisualScore score;
  score.model = std::filesystem::absolute(model / ".").parent_path().filename().string();
  score.all.name = "all";
  std::map<std::string, VisualAccuracy> categories;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const bool right = answers[i] == questions[i].answer;
    Count(right, score.all);
    if (!questions[i].category.empty()) {
      VisualAccuracy& category = categories[questions[i].category];
      category.name = questions[i].category;
      Count(right, category);
    }
  }
  for (auto& [name, category] : categories) {
    score.categories.push_back(std::move(category));
  }
  return score;
}

double Agreement(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::int64_t same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    same += a[i] == b[i] ? 1 : 0;
  }
  return static_cast<double>(same) / static_cast<double>(a.size());
}

std::string Line(const VisualAccuracy& accuracy, const std::string& name) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), "%-32.32s %.4f  (%lld of %lld)\n", name.c_str(),
                accuracy.accuracy, static_cast<long long>(accuracy.right),
                static_cast<long long>(accuracy.questions));
  return text.data();
}

}  // namespace

Status CheckVisualChoices(const Path& questions, std::int64_t most, Participants models) {
  TYLLM_ASSIGN(const std::vector<VisualQuestion> loaded, LoadVisualQuestions(questions, most));
  for (const VisualQuestion& question : loaded) {
    std::error_code error;
    if (question.image.empty() && !std::filesystem::is_regular_file(question.image_file, error)) {
      return NotFound("question of line " + std::to_string(question.line) + " of " +
                      questions.string() + ": its image " + question.image_file.string() +
                      " is no file, expected an image there");
    }
  }
  for (const Participant& participant : models) {
    TYLLM_TRY(forward::VisualPrompter::Open(participant.model).status());
    TYLLM_TRY(FindLetters(participant.model, participant.tokenizer).status());
  }
  return OkStatus();
}

VisualChoiceReport EmptyVisualReport(bool with_reference) {
  VisualChoiceReport report;
  if (with_reference) {
    report.reference.emplace();
    report.agreement = report.accuracy_drop = 0.0;
  }
  return report;
}

Result<VisualChoiceReport> EvaluateVisualChoices(const VisualChoiceRequest& request,
                                                 domain::ProgressSink& progress) {
  const Clock& clock = SystemClock();
  const Clock::Steady start = clock.Now();
  TYLLM_ASSIGN(const std::vector<VisualQuestion> questions,
               LoadVisualQuestions(request.questions, request.most));
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend(request.device, request.threads));
  const std::int64_t total = std::ssize(questions) * (request.reference ? 2 : 1);
  std::int64_t before = 0;
  const auto ask = [&](const Path& directory) -> Result<std::vector<std::int64_t>> {
    TYLLM_ASSIGN(const auto examinee, Examinee::Open(directory, *backend));
    TYLLM_ASSIGN(std::vector<std::int64_t> answers,
                 examinee->Answer(questions, [&](std::int64_t done) {
                   progress.Report({"questions", before + done, total, "questions", ""});
                 }));
    before += std::ssize(questions);
    return answers;
  };
  VisualChoiceReport report;
  report.questions = request.questions.filename().string();
  TYLLM_ASSIGN(const std::vector<std::int64_t> answers, ask(request.model));
  report.model = ScoreOf(request.model, questions, answers);
  if (request.reference) {
    TYLLM_ASSIGN(const std::vector<std::int64_t> expected, ask(*request.reference));
    report.reference = ScoreOf(*request.reference, questions, expected);
    report.agreement = Agreement(answers, expected);
    report.accuracy_drop = report.reference->all.accuracy - report.model.all.accuracy;
  }
  report.seconds = std::chrono::duration<double>(clock.Now() - start).count();
  return report;
}

std::string ReportText(const VisualChoiceReport& report) {
  std::string text = Line(report.model.all, "accuracy of " + report.model.model);
  for (const VisualAccuracy& category : report.model.categories) {
    text += Line(category, "  " + category.name);
  }
  if (report.reference) {
    text += Line(report.reference->all, "accuracy of " + report.reference->model);
    for (const VisualAccuracy& category : report.reference->categories) {
      text += Line(category, "  " + category.name);
    }
    std::array<char, 80> line{};
    std::snprintf(line.data(), line.size(), "%-32s %.4f\n", "answered alike", *report.agreement);
    text += line.data();
  }
  return text;
}

}  // namespace tyllm::evaluate
