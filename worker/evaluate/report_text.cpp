// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace tyllm::evaluate {

namespace {

using Out = std::back_insert_iterator<std::string>;

std::string Describe(const ModelScore& score) {
  std::string text = score.name + "; " + std::string(NamesOf(score.format).Name(score.format));
  return score.group_size > 0 ? text + ", group " + std::to_string(score.group_size) : text;
}

void WritePerplexity(const Report& report, Out out) {
  fmt::format_to(out, "{:<20} {:.4f}  ({})\n", "perplexity", *report.model.perplexity,
                 Describe(report.model));
  if (report.reference) {
    fmt::format_to(out, "{:<20} {:.4f}  ({})\n", "reference", *report.reference->perplexity,
                   Describe(*report.reference));
    fmt::format_to(out, "{:<20} {:+.2f} %\n", "increase", 100.0 * *report.perplexity_increase);
    fmt::format_to(out, "{:<20} {:.5f} nats\n", "KL divergence", *report.kl_divergence);
    fmt::format_to(out, "{:<20} {:.2f} %\n", "same top token", 100.0 * *report.top1_agreement);
  }
  fmt::format_to(out, "{:<20} {}: {} tokens, {} windows of {}, {} predicted\n", "text",
                 report.text->name, report.text->tokens, report.text->windows, report.text->window,
                 report.text->predictions);
}

void WriteRow(const std::string& name, std::int64_t questions, double accuracy, double error,
              const std::optional<double>& reference, Out out) {
  fmt::format_to(out, "{:<40} {:>9} {:>8.2f} %  +- {:>5.2f}", name, questions, 100.0 * accuracy,
                 100.0 * error);
  if (reference) {
    fmt::format_to(out, " {:>8.2f} % {:>+7.2f}", 100.0 * *reference,
                   100.0 * (accuracy - *reference));
  }
  fmt::format_to(out, "\n");
}

/// The subject table and what it adds up to.
void WriteChoices(const char* title, const ChoiceReport& choice, const QuestionScope& scope,
                  Out out) {
  const bool compared = choice.reference.has_value();
  fmt::format_to(out, "\n{:<40} {:>9} {:>10}  {:>8}{}\n", title, "questions", "correct", "error",
                 compared ? "  reference  change" : "");
  for (const auto& [name, subject] : choice.subjects) {
    WriteRow(name, subject.questions, subject.accuracy, subject.standard_error,
             subject.reference_accuracy, out);
  }
  WriteRow("all questions", scope.questions, choice.model.accuracy, choice.model.standard_error,
           compared ? std::optional(choice.reference->accuracy) : std::nullopt, out);
  fmt::format_to(out, "{:<40} {:>9} {:>8.2f} %\n", "mean of the subjects", "",
                 100.0 * choice.model.subject_mean);
  if (compared) {
    fmt::format_to(out, "{:<40} {:>9} {:>8.2f} %\n", "same answer as the reference", "",
                   100.0 * *choice.same_answers);
  }
  if (choice.model.unanswered > 0) {
    fmt::format_to(out, "{:<40} {:>9}\n", "without an answer", choice.model.unanswered);
  }
}

void WriteQuestions(const Report& report, Out out) {
  const QuestionScope& scope = *report.questions;
  fmt::format_to(out, "{:<20} {}: {} questions of {} subjects, {} examples before each",
                 "questions", scope.name, scope.questions, scope.subjects, scope.shots);
  if (scope.shortened > 0) {
    fmt::format_to(out, " ({} had room for fewer)", scope.shortened);
  }
  fmt::format_to(out, "\n");
  if (report.choice) {
    WriteChoices("by likelihood", *report.choice, scope, out);
  }
  if (report.generated) {
    WriteChoices("in text", *report.generated, scope, out);
  }
}

void WriteSample(const Sample& sample, Out out) {
  fmt::format_to(out, "\n> {}\n", sample.prompt);
  if (!sample.reference) {
    fmt::format_to(out, "{}\n", sample.model.text);
    return;
  }
  fmt::format_to(out, "reference: {}\nmodel:     {}\n({} of {} tokens the same)\n",
                 sample.reference->text, sample.model.text, *sample.same_tokens,
                 std::max(sample.model.token_ids.size(), sample.reference->token_ids.size()));
}

void WriteConditions(const Report& report, Out out) {
  for (const JudgedCondition& condition : report.conditions) {
    fmt::format_to(out, "{:<20} {}: {:.6g}, {}\n", "condition", condition.condition,
                   condition.value, condition.holds ? "holds" : "does not hold");
  }
}

}  // namespace

std::string ReportText(const Report& report) {
  std::string text;
  const Out out(text);
  if (report.text) {
    WritePerplexity(report, out);
  } else {
    fmt::format_to(out, "{:<20} {}\n", "model", Describe(report.model));
    if (report.reference) {
      fmt::format_to(out, "{:<20} {}\n", "reference", Describe(*report.reference));
    }
  }
  if (report.questions) {
    WriteQuestions(report, out);
  }
  if (report.visual) {
    fmt::format_to(out, "\n{:<20} {}\n{}", "about images", report.visual->questions,
                   ReportText(*report.visual));
  }
  for (const Sample& sample : report.samples) {
    WriteSample(sample, out);
  }
  if (report.questions || report.visual || !report.samples.empty()) {
    text += '\n';
  }
  WriteConditions(report, out);
  fmt::format_to(out, "{:<20} {:.1f} s on {}", "time", report.seconds, report.device);
  if (report.tokens_per_second) {
    fmt::format_to(out, ", {:.0f} tokens/s", *report.tokens_per_second);
  }
  fmt::format_to(out, "\n");
  return text;
}

}  // namespace tyllm::evaluate
