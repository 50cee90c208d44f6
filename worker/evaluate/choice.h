// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/domain/task_options.h"
#include "worker/evaluate/choice_prompt.h"
#include "worker/model/chat_template.h"

namespace tyllm::evaluate {

/// The questions of a set as one model's tokens, in the order of the set.
struct AskedQuestions {
  std::vector<LetterScoring> letters;              ///< of answers by likelihood
  std::vector<std::vector<std::int32_t>> prompts;  ///< of answers in text
  std::int64_t shortened = 0;  ///< questions asked with fewer examples, for want of positions
};

/// What a model answered.
struct Answers {
  std::vector<std::int64_t> picked;  ///< choice of each question; -1: none
  /// Log-probability of each letter, of answers by likelihood; else empty.
  std::vector<std::array<double, kChoices>> likelihoods;
  std::vector<std::string> texts;  ///< of answers in text; else empty
};

/// What is asked of a model besides the questions.
struct AskOptions {
  const domain::EvaluateOptions* options = nullptr;
  const std::optional<model::ChatPrompt>* chat = nullptr;  ///< of answers in text
};

/// The questions in the tokens of the model in `directory`. A question that does not fit its
/// positions with all examples is asked with fewer; one that does not fit with none is an error.
Result<AskedQuestions> Ask(const QuestionSet& set, const Path& directory,
                           const model::Tokenizer& tokenizer, const model::ModelShape& shape,
                           const AskOptions& ask);

/// The letter of the highest probability, the first of equal ones.
Result<Answers> AnswerByLikelihood(const forward::Model& model, tensor::Backend& backend,
                                   const AskedQuestions& asked, const OnTexts& on_texts);

/// Called with each answer that is complete.
using OnAnswer = std::function<void()>;

/// The letter in the text that the model writes greedily, up to a line's end where there is no
/// chat.
Result<Answers> AnswerInText(const forward::Model& model, tensor::Backend& backend,
                             const AskedQuestions& asked, const model::Tokenizer& tokenizer,
                             const AskOptions& ask, const OnAnswer& on_answer);

}  // namespace tyllm::evaluate
