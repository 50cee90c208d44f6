// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/multiple_choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tyllm::evaluate {

namespace {

using domain::AnswerMode;

double Share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Of a mean of n zeros and ones, from their sample variance.
double StandardError(double mean, std::int64_t n) {
  return n < 2 ? 0.0 : std::sqrt(mean * (1.0 - mean) / static_cast<double>(n - 1));
}

/// Correct answers of each subject.
std::vector<std::int64_t> CountCorrect(const QuestionSet& set, const Answers& answers) {
  std::vector<std::int64_t> counts;
  auto picked = answers.picked.begin();
  for (const Subject& subject : set.subjects) {
    counts.push_back(0);
    for (const Question& question : subject.questions) {
      counts.back() += *picked++ == question.answer ? 1 : 0;
    }
  }
  return counts;
}

ChoiceScore ScoreOf(const QuestionSet& set, const Answers& answers,
                    const std::vector<std::int64_t>& correct) {
  ChoiceScore score;
  for (std::size_t i = 0; i < correct.size(); ++i) {
    score.correct += correct[i];
    score.subject_mean +=
        Share(correct[i], static_cast<std::int64_t>(set.subjects[i].questions.size())) /
        static_cast<double>(correct.size());
  }
  score.unanswered = std::ranges::count(answers.picked, -1);
  score.accuracy = Share(score.correct, set.size());
  score.standard_error = StandardError(score.accuracy, set.size());
  return score;
}

std::string LetterOrNone(std::int64_t choice) {
  return choice < 0 ? "" : std::string(1, LetterOf(choice));
}

format::Json AnswerJson(const Answers& answers, std::size_t i) {
  format::Json json{{"answer", LetterOrNone(answers.picked[i])}};
  if (!answers.likelihoods.empty()) {
    json["log_likelihoods"] = answers.likelihoods[i];
  }
  if (!answers.texts.empty()) {
    json["text"] = answers.texts[i];
  }
  return json;
}

/// One line a question.
std::string AnswerLines(const QuestionSet& set, const std::string& way,
                        const std::vector<Answers>& answers) {
  std::string lines;
  std::size_t i = 0;
  for (const Subject& subject : set.subjects) {
    for (const Question& question : subject.questions) {
      format::Json line{{"subject", subject.name},
                        {"line", question.line},
                        {"way", way},
                        {"right", LetterOrNone(question.answer)},
                        {"model", AnswerJson(answers[0], i)}};
      if (answers.size() == 2) {
        line["reference"] = AnswerJson(answers[1], i);
      }
      lines += format::CompactJson(line) + "\n";
      ++i;
    }
  }
  return lines;
}

/// Tells a sink how many questions are done, over all models.
class QuestionProgress {
 public:
  QuestionProgress(domain::ProgressSink& sink, std::string stage, std::int64_t questions,
                   std::int64_t steps)
      : sink_(sink), stage_(std::move(stage)), questions_(questions), steps_(steps) {}

  /// `steps` make up all questions.
  void Add(std::int64_t steps) {
    done_ += steps;
    sink_.Report({.stage = stage_,
                  .done = questions_ * done_ / steps_,
                  .total = questions_,
                  .unit = "questions",
                  .message = {}});
  }

 private:
  domain::ProgressSink& sink_;
  std::string stage_;
  std::int64_t questions_;
  std::int64_t steps_;
  std::int64_t done_ = 0;
};

Result<std::vector<Answers>> ByLikelihood(const ReadQuestions& questions, Participants models,
                                          tensor::Backend& backend,
                                          domain::ProgressSink& progress) {
  std::int64_t steps = 0;
  for (std::size_t m = 0; m < models.size(); ++m) {
    for (const LetterScoring& letters : questions.asked[m].letters) {
      steps += static_cast<std::int64_t>(letters.texts.size()) * ScoringBlocks(models[m].model);
    }
  }
  QuestionProgress told(progress, "questions", questions.set.size(), steps);
  std::vector<Answers> answers;
  for (std::size_t m = 0; m < models.size(); ++m) {
    TYLLM_ASSIGN(answers.emplace_back(),
                 AnswerByLikelihood(models[m].model, backend, questions.asked[m],
                                    [&](std::int64_t texts) { told.Add(texts); }));
  }
  return answers;
}

Result<std::vector<Answers>> InText(const ReadQuestions& questions, const AskOptions& ask,
                                    Participants models, tensor::Backend& backend,
                                    domain::ProgressSink& progress) {
  const std::int64_t count = questions.set.size();
  QuestionProgress told(progress, "answers", count,
                        count * static_cast<std::int64_t>(models.size()));
  std::vector<Answers> answers;
  for (std::size_t m = 0; m < models.size(); ++m) {
    TYLLM_ASSIGN(answers.emplace_back(),
                 AnswerInText(models[m].model, backend, questions.asked[m], models[m].tokenizer,
                              ask, [&] { told.Add(1); }));
  }
  return answers;
}

}  // namespace

QuestionScope ReadQuestions::Scope(const domain::EvaluateOptions& options) const {
  return {.name = set.name,
          .sha256 = set.sha256,
          .subjects = static_cast<std::int64_t>(set.subjects.size()),
          .questions = set.size(),
          .shots = options.shots,
          .shortened = asked.front().shortened};
}

Result<ReadQuestions> PrepareQuestions(FileSystem& files, const Path& path, const AskOptions& ask,
                                       Participants models) {
  ReadQuestions read;
  TYLLM_ASSIGN(read.set,
               LoadQuestions(files, path, ask.options->shots, ask.options->max_questions));
  for (const Participant& participant : models) {
    TYLLM_ASSIGN(read.asked.emplace_back(),
                 Ask(read.set, participant.directory, participant.tokenizer,
                     participant.model.shape(), ask));
  }
  return read;
}

ChoiceReport EmptyReportOf(const QuestionSet& set, bool with_reference) {
  Answers none;
  none.picked.assign(static_cast<std::size_t>(set.size()), -1);
  return ReportOf(set, std::vector<Answers>(with_reference ? 2 : 1, none));
}

ChoiceReport ReportOf(const QuestionSet& set, const std::vector<Answers>& answers) {
  const std::vector<std::int64_t> correct = CountCorrect(set, answers[0]);
  ChoiceReport report;
  report.model = ScoreOf(set, answers[0], correct);
  std::vector<std::int64_t> reference_correct;
  if (answers.size() == 2) {
    reference_correct = CountCorrect(set, answers[1]);
    report.reference = ScoreOf(set, answers[1], reference_correct);
    report.accuracy_drop = report.reference->accuracy - report.model.accuracy;
    std::int64_t same = 0;
    for (std::size_t i = 0; i < answers[0].picked.size(); ++i) {
      same += answers[0].picked[i] == answers[1].picked[i] ? 1 : 0;
    }
    report.same_answers = Share(same, set.size());
  }
  for (std::size_t i = 0; i < correct.size(); ++i) {
    const auto questions = static_cast<std::int64_t>(set.subjects[i].questions.size());
    SubjectScore& score = report.subjects[set.subjects[i].name];
    score.questions = questions;
    score.correct = correct[i];
    score.accuracy = Share(correct[i], questions);
    score.standard_error = StandardError(score.accuracy, questions);
    if (!reference_correct.empty()) {
      score.reference_accuracy = Share(reference_correct[i], questions);
    }
  }
  return report;
}

Result<std::string> MeasureChoices(const ReadQuestions& questions, const AskOptions& ask,
                                   Participants models, tensor::Backend& backend,
                                   domain::ProgressSink& progress, Report& report) {
  std::string lines;
  report.questions = questions.Scope(*ask.options);
  if (ask.options->answers != AnswerMode::kGenerated) {
    TYLLM_ASSIGN(const std::vector<Answers> answers,
                 ByLikelihood(questions, models, backend, progress));
    report.choice = ReportOf(questions.set, answers);
    lines += AnswerLines(questions.set, "likelihood", answers);
  }
  if (ask.options->answers != AnswerMode::kLikelihood) {
    TYLLM_ASSIGN(const std::vector<Answers> answers,
                 InText(questions, ask, models, backend, progress));
    report.generated = ReportOf(questions.set, answers);
    lines += AnswerLines(questions.set, "generated", answers);
  }
  return lines;
}

}  // namespace tyllm::evaluate
