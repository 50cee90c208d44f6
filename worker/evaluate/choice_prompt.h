// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "worker/evaluate/likelihoods.h"
#include "worker/evaluate/questions.h"
#include "worker/model/tokenizer.h"

namespace tyllm::evaluate {

/// The text in front of the answer, as MMLU's own evaluation writes it: a heading with the subject,
/// the first `shots` examples with their answers, the question, its choices, "Answer:".
std::string PromptOf(const Subject& subject, const Question& question, std::size_t shots);

/// One question as a conversation's message that asks for a letter.
std::string MessageOf(const Subject& subject, const Question& question, std::size_t shots);

/// The letter that a text gives as its answer, or -1. Thoughts up to "</think>" do not count; of
/// the rest the last "answer: B", "answer is (B)" or the like, else the first A, B, C or D that
/// stands alone.
std::int64_t ChoiceIn(std::string_view text);

/// A question in tokens: what has to be scored to know the probability of each letter.
struct LetterScoring {
  /// Usually one, which every letter is a next token of. More where the tokenizer spells letters in
  /// several tokens.
  std::vector<ScoredText> texts;
  /// Of each letter: (text, target) whose log-probabilities add up to the letter's.
  std::array<std::vector<std::pair<std::size_t, std::size_t>>, kChoices> parts;
};

/// Scoring of " A", " B", ... behind `prompt`.
Result<LetterScoring> ScoreLetters(const model::Tokenizer& tokenizer, const std::string& prompt);

}  // namespace tyllm::evaluate
