// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/format/json.h"
#include "worker/evaluate/visual_choice.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::evaluate {

/// A model, and how well it predicts the text where there is one.
struct ModelScore {
  std::string name;  ///< of its folder
  model::CheckpointFormat format = model::CheckpointFormat::kFloat;
  std::int64_t group_size = 0;       ///< 0 when nothing is quantized
  std::optional<double> nll;         ///< mean negative log-likelihood of a predicted token, in nats
  std::optional<double> perplexity;  ///< exp(nll)

  bool operator==(const ModelScore&) const = default;
};

/// The text and how it was cut.
struct TextScope {
  std::string name;    ///< of its file
  std::string sha256;  ///< of its bytes
  std::int64_t tokens = 0;
  std::int64_t window = 0;
  std::int64_t windows = 0;
  std::int64_t predictions = 0;

  bool operator==(const TextScope&) const = default;
};

/// The multiple-choice questions that were asked.
struct QuestionScope {
  std::string name;    ///< of the file or folder
  std::string sha256;  ///< of the names and bytes of its files
  std::int64_t subjects = 0;
  std::int64_t questions = 0;
  std::int64_t shots = 0;      ///< answered examples before each
  std::int64_t shortened = 0;  ///< questions that had room for fewer examples

  bool operator==(const QuestionScope&) const = default;
};

/// What one model made of all questions.
struct ChoiceScore {
  std::int64_t correct = 0;
  std::int64_t unanswered = 0;
  double accuracy = 0.0;        ///< share of the questions
  double standard_error = 0.0;  ///< of `accuracy`
  double subject_mean = 0.0;    ///< mean of the subjects' accuracies, each subject counting once

  bool operator==(const ChoiceScore&) const = default;
};

/// A row of the subject table.
struct SubjectScore {
  std::int64_t questions = 0;
  std::int64_t correct = 0;
  double accuracy = 0.0;
  double standard_error = 0.0;
  std::optional<double> reference_accuracy;

  bool operator==(const SubjectScore&) const = default;
};

/// Multiple-choice answers given in one way.
struct ChoiceReport {
  ChoiceScore model;
  std::optional<ChoiceScore> reference;
  std::optional<double> accuracy_drop;  ///< reference - model
  std::optional<double> same_answers;   ///< share of questions that both answer alike
  std::map<std::string, SubjectScore> subjects;

  bool operator==(const ChoiceReport&) const = default;
};

struct Continuation {
  std::vector<std::int32_t> token_ids;
  std::string text;

  bool operator==(const Continuation&) const = default;
};

/// How the models continue one prompt, greedily.
struct Sample {
  std::string prompt;
  Continuation model;
  std::optional<Continuation> reference;
  std::optional<std::int64_t> same_tokens;  ///< at the beginning of both

  bool operator==(const Sample&) const = default;
};

/// A condition of --fail-if and what became of it.
struct JudgedCondition {
  std::string condition;
  double value = 0.0;  ///< of its figure
  bool holds = false;

  bool operator==(const JudgedCondition&) const = default;
};

/// What an evaluation found; evaluation.json (docs/formats/evaluation.md).
struct Report {
  std::string format = "tyllm-evaluation";
  std::int64_t version = 1;
  std::optional<TextScope> text;
  ModelScore model;
  std::optional<ModelScore> reference;
  // Of the comparison with a reference on a text, where both were given:
  std::optional<double> perplexity_increase;  ///< model / reference - 1
  std::optional<double> kl_divergence;        ///< mean of KL(reference || model), in nats
  std::optional<double> top1_agreement;       ///< share of places where both like one token best
  std::optional<QuestionScope> questions;
  std::optional<ChoiceReport> choice;        ///< answers by likelihood
  std::optional<ChoiceReport> generated;     ///< answers in text
  std::optional<VisualChoiceReport> visual;  ///< answers to questions about images
  std::vector<Sample> samples;
  std::vector<JudgedCondition> conditions;
  std::string device;
  double seconds = 0.0;
  std::optional<double> tokens_per_second;  ///< of the text, through all the models that ran

  bool operator==(const Report&) const = default;
};

}  // namespace tyllm::evaluate

template <>
struct tyllm::format::Members<tyllm::evaluate::ModelScore> {
  using S = tyllm::evaluate::ModelScore;
  static constexpr auto kTable =
      std::tuple{Member{"name", &S::name, true}, Member{"format", &S::format, true},
                 Member{"group_size", &S::group_size}, Member{"nll", &S::nll},
                 Member{"perplexity", &S::perplexity}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::TextScope> {
  using S = tyllm::evaluate::TextScope;
  static constexpr auto kTable = std::tuple{
      Member{"name", &S::name, true},       Member{"sha256", &S::sha256, true},
      Member{"tokens", &S::tokens, true},   Member{"window", &S::window, true},
      Member{"windows", &S::windows, true}, Member{"predictions", &S::predictions, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::QuestionScope> {
  using S = tyllm::evaluate::QuestionScope;
  static constexpr auto kTable =
      std::tuple{Member{"name", &S::name, true},         Member{"sha256", &S::sha256, true},
                 Member{"subjects", &S::subjects, true}, Member{"questions", &S::questions, true},
                 Member{"shots", &S::shots, true},       Member{"shortened", &S::shortened, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::ChoiceScore> {
  using S = tyllm::evaluate::ChoiceScore;
  static constexpr auto kTable = std::tuple{
      Member{"correct", &S::correct, true}, Member{"unanswered", &S::unanswered, true},
      Member{"accuracy", &S::accuracy, true}, Member{"standard_error", &S::standard_error, true},
      Member{"subject_mean", &S::subject_mean, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::SubjectScore> {
  using S = tyllm::evaluate::SubjectScore;
  static constexpr auto kTable = std::tuple{
      Member{"questions", &S::questions, true}, Member{"correct", &S::correct, true},
      Member{"accuracy", &S::accuracy, true}, Member{"standard_error", &S::standard_error, true},
      Member{"reference_accuracy", &S::reference_accuracy}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::ChoiceReport> {
  using R = tyllm::evaluate::ChoiceReport;
  static constexpr auto kTable =
      std::tuple{Member{"model", &R::model, true}, Member{"reference", &R::reference},
                 Member{"accuracy_drop", &R::accuracy_drop},
                 Member{"same_answers", &R::same_answers}, Member{"subjects", &R::subjects, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::Continuation> {
  using C = tyllm::evaluate::Continuation;
  static constexpr auto kTable =
      std::tuple{Member{"token_ids", &C::token_ids, true}, Member{"text", &C::text, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::Sample> {
  using S = tyllm::evaluate::Sample;
  static constexpr auto kTable =
      std::tuple{Member{"prompt", &S::prompt, true}, Member{"model", &S::model, true},
                 Member{"reference", &S::reference}, Member{"same_tokens", &S::same_tokens}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::JudgedCondition> {
  using C = tyllm::evaluate::JudgedCondition;
  static constexpr auto kTable =
      std::tuple{Member{"condition", &C::condition, true}, Member{"value", &C::value, true},
                 Member{"holds", &C::holds, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::Report> {
  using R = tyllm::evaluate::Report;
  static constexpr auto kTable = std::tuple{
      Member{"format", &R::format, true},
      Member{"version", &R::version, true},
      Member{"text", &R::text},
      Member{"model", &R::model, true},
      Member{"reference", &R::reference},
      Member{"perplexity_increase", &R::perplexity_increase},
      Member{"kl_divergence", &R::kl_divergence},
      Member{"top1_agreement", &R::top1_agreement},
      Member{"questions", &R::questions},
      Member{"choice", &R::choice},
      Member{"generated", &R::generated},
      Member{"visual", &R::visual},
      Member{"samples", &R::samples},
      Member{"conditions", &R::conditions},
      Member{"device", &R::device},
      Member{"seconds", &R::seconds},
      Member{"tokens_per_second", &R::tokens_per_second},
  };
};
