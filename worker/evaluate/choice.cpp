// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "worker/forward/embedding_rows.h"
#include "worker/forward/generator.h"
#include "worker/model/generation_config.h"

namespace tyllm::evaluate {

namespace {

using domain::AnswerMode;

/// Positions that a question takes by likelihood.
std::int64_t PositionsOf(const LetterScoring& letters) {
  std::size_t most = 0;
  for (const ScoredText& text : letters.texts) {
    most = std::max(most, text.ids.size());
  }
  return static_cast<std::int64_t>(most);
}

/// Puts questions of one set to one model.
class Asker {
 public:
  Asker(const Path& directory, const model::Tokenizer& tokenizer, const model::ModelShape& shape,
        const AskOptions& ask)
      : directory_(directory), tokenizer_(tokenizer), shape_(shape), ask_(ask) {}

  Status Add(const Subject& subject, const Question& question, std::int64_t group) {
    const AnswerMode mode = ask_.options->answers;
    std::size_t shots = subject.examples.size();
    LetterScoring letters;
    std::vector<std::int32_t> prompt;
    for (;; --shots) {
      std::int64_t positions = 0;
      if (mode != AnswerMode::kGenerated) {
        TYLLM_ASSIGN(letters, ScoreLetters(tokenizer_, PromptOf(subject, question, shots)));
        positions = PositionsOf(letters);
      }
      if (mode != AnswerMode::kLikelihood) {
        TYLLM_ASSIGN(prompt, TextPrompt(subject, question, shots));
        positions = std::max(
            positions, static_cast<std::int64_t>(prompt.size()) + ask_.options->answer_tokens);
      }
      if (positions <= shape_.max_positions) {
        break;
      }
      if (shots == 0) {
        return TooLong(subject, question, positions);
      }
    }
    TYLLM_TRY(CheckTokens(letters, prompt).Annotate(directory_.string()));
    asked_.shortened += shots < subject.examples.size() ? 1 : 0;
    for (ScoredText& text : letters.texts) {
      text.group = group;
    }
    asked_.letters.push_back(std::move(letters));
    asked_.prompts.push_back(std::move(prompt));
    return OkStatus();
  }

  AskedQuestions Take() { return std::move(asked_); }

 private:
  Result<std::vector<std::int32_t>> TextPrompt(const Subject& subject, const Question& question,
                                               std::size_t shots) const {
    if (!*ask_.chat) {
      return tokenizer_.Encode(PromptOf(subject, question, shots));
    }
    TYLLM_ASSIGN(
        const std::string text,
        model::WriteChatPrompt(directory_, MessageOf(subject, question, shots), **ask_.chat));
    return tokenizer_.Encode(text);
  }

  Status CheckTokens(const LetterScoring& letters, const std::vector<std::int32_t>& prompt) const {
    TYLLM_TRY(CheckTexts(letters.texts, shape_.vocabulary));
    return forward::CheckIds({.sequences = 1, .length = std::ssize(prompt), .ids = prompt},
                             shape_.vocabulary);
  }

  Status TooLong(const Subject& subject, const Question& question, std::int64_t positions) const {
    return InvalidArgument(subject.file.string() + " line " + std::to_string(question.line) +
                           ": the question takes " + std::to_string(positions) +
                           " positions, but the model has " + std::to_string(shape_.max_positions) +
                           "; leave it out, or ask for shorter answers (--answer-tokens)");
  }

  const Path& directory_;
  const model::Tokenizer& tokenizer_;
  const model::ModelShape& shape_;
  const AskOptions& ask_;
  AskedQuestions asked_;
};

Status NotFinite(const forward::Model& model) {
  return DataLoss("model " + model.checkpoint.directory().string() +
                  " computes numbers that are not finite for these questions; its weights are "
                  "damaged or overflow: fetch or make it again");
}

std::string_view FirstLine(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \n");
  text.remove_prefix(start == std::string_view::npos ? text.size() : start);
  return text.substr(0, text.find('\n'));
}

}  // namespace

Result<AskedQuestions> Ask(const QuestionSet& set, const Path& directory,
                           const model::Tokenizer& tokenizer, const model::ModelShape& shape,
                           const AskOptions& ask) {
  Asker asker(directory, tokenizer, shape, ask);
  std::int64_t group = 0;
  for (const Subject& subject : set.subjects) {
    for (const Question& question : subject.questions) {
      TYLLM_TRY(asker.Add(subject, question, group));
    }
    ++group;
  }
  return asker.Take();
}

Result<Answers> AnswerByLikelihood(const forward::Model& model, tensor::Backend& backend,
                                   const AskedQuestions& asked, const OnTexts& on_texts) {
  std::vector<ScoredText> texts;
  for (const LetterScoring& letters : asked.letters) {
    texts.insert(texts.end(), letters.texts.begin(), letters.texts.end());
  }
  TYLLM_ASSIGN(const auto scores, LogLikelihoods(model, backend, texts, on_texts));
  Answers answers;
  std::size_t first = 0;
  for (const LetterScoring& letters : asked.letters) {
    auto& likelihoods = answers.likelihoods.emplace_back();
    for (std::size_t choice = 0; choice < likelihoods.size(); ++choice) {
      for (const auto& [text, target] : letters.parts[choice]) {
        likelihoods[choice] += scores[first + text][target];
      }
      if (!std::isfinite(likelihoods[choice])) {
        return NotFinite(model);
      }
    }
    answers.picked.push_back(std::ranges::max_element(likelihoods) - likelihoods.begin());
    first += letters.texts.size();
  }
  return answers;
}

Result<Answers> AnswerInText(const forward::Model& model, tensor::Backend& backend,
                             const AskedQuestions& asked, const model::Tokenizer& tokenizer,
                             const AskOptions& ask, const OnAnswer& on_answer) {
  TYLLM_ASSIGN(const std::vector<std::int32_t> stop,
               model::StopTokens(model.checkpoint.directory()));
  std::vector<forward::Generator::Request> requests;
  for (const std::vector<std::int32_t>& prompt : asked.prompts) {
    requests.push_back(
        {.prompt = prompt, .max_tokens = ask.options->answer_tokens, .stop = stop, .sampling = {}});
  }
  forward::Generator generator(model, backend);
  TYLLM_ASSIGN(const auto tokens,
               generator.GenerateAll(requests, [&](std::size_t) { on_answer(); }));
  Answers answers;
  for (const std::vector<std::int32_t>& ids : tokens) {
    const std::string text = tokenizer.Decode(ids);
    answers.picked.push_back(ChoiceIn(*ask.chat ? text : FirstLine(text)));
    answers.texts.push_back(text);
  }
  return answers;
}

}  // namespace tyllm::evaluate
