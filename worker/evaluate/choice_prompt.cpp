// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/choice_prompt.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>

namespace tyllm::evaluate {

namespace {

std::string WithChoices(const Question& question) {
  std::string text = question.text;
  for (std::int64_t choice = 0; choice < kChoices; ++choice) {
    text += '\n';
    text += LetterOf(choice);
    text += ". " + question.choices[static_cast<std::size_t>(choice)];
  }
  return text;
}

std::string Heading(const Subject& subject) {
  std::string name = subject.name;
  std::ranges::replace(name, '_', ' ');
  return "The following are multiple choice questions (with answers) about " + name + ".\n\n";
}

/// The heading and the first examples.
std::string Beginning(const Subject& subject, std::size_t shots) {
  std::string text = Heading(subject);
  for (const Question& example : std::span(subject.examples).first(shots)) {
    text += WithChoices(example) + "\nAnswer: " + LetterOf(example.answer) + "\n\n";
  }
  return text;
}

bool IsWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// "A river", not "A" or "A.".
bool IsArticle(std::string_view text) {
  return text.size() > 2 && text.starts_with("A ") &&
         std::islower(static_cast<unsigned char>(text[2])) != 0;
}

/// The choice whose letter stands alone at `at`.
std::optional<std::int64_t> LetterAt(std::string_view text, std::size_t at) {
  if (text[at] < 'A' || text[at] >= LetterOf(kChoices) || (at > 0 && IsWord(text[at - 1])) ||
      (at + 1 < text.size() && (IsWord(text[at + 1]) || text[at + 1] == '\''))) {
    return std::nullopt;
  }
  return text[at] - 'A';
}

/// The letter that follows "answer" with no more than "is", "option" and marks between.
std::optional<std::int64_t> LetterAfterAnswer(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (!IsWord(text[at])) {
      ++at;
      continue;
    }
    if (const auto letter = LetterAt(text, at)) {
      return letter;
    }
    std::size_t end = at;
    while (end < text.size() && IsWord(text[end])) {
      ++end;
    }
    const std::string_view word = text.substr(at, end - at);
    if (word != "is" && word != "option" && word != "choice" && word != "the") {
      return std::nullopt;
    }
    at = end;
  }
  return std::nullopt;
}

/// The last answer that is announced as one.
std::optional<std::int64_t> AnnouncedChoice(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kWord = "answer";
  for (std::size_t at = lower.rfind(kWord); at != std::string::npos;
       at = at == 0 ? std::string::npos : lower.rfind(kWord, at - 1)) {
    if (const auto letter = LetterAfterAnswer(text.substr(at + kWord.size()))) {
      return letter;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string PromptOf(const Subject& subject, const Question& question, std::size_t shots) {
  return Beginning(subject, shots) + WithChoices(question) + "\nAnswer:";
}

std::string MessageOf(const Subject& subject, const Question& question, std::size_t shots) {
  return Beginning(subject, shots) + WithChoices(question) +
         "\n\nGive the letter of the right answer: A, B, C or D.";
}

std::int64_t ChoiceIn(std::string_view text) {
  constexpr std::string_view kThoughtsEnd = "</think>";
  if (const std::size_t end = text.rfind(kThoughtsEnd); end != std::string_view::npos) {
    text.remove_prefix(end + kThoughtsEnd.size());
  }
  if (const auto announced = AnnouncedChoice(text)) {
    return *announced;
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const auto letter = LetterAt(text, at); letter && !IsArticle(text.substr(at))) {
      return *letter;
    }
  }
  return -1;
}

Result<LetterScoring> ScoreLetters(const model::Tokenizer& tokenizer, const std::string& prompt) {
  std::array<std::vector<model::TokenId>, kChoices> whole;
  for (std::int64_t choice = 0; choice < kChoices; ++choice) {
    TYLLM_ASSIGN(whole[static_cast<std::size_t>(choice)],
                 tokenizer.Encode(prompt + " " + LetterOf(choice)));
  }
  std::size_t common = whole[0].size();
  for (const auto& ids : whole) {
    const auto [a, b] = std::ranges::mismatch(whole[0], ids);
    common = std::min(common, static_cast<std::size_t>(a - whole[0].begin()));
  }
  if (common == 0) {
    return Internal("a question's prompt has no tokens in front of the answer");
  }
  LetterScoring scoring;
  for (std::size_t choice = 0; choice < whole.size(); ++choice) {
    const std::vector<model::TokenId>& ids = whole[choice];
    const std::vector<std::int32_t> seen(ids.begin(), ids.end() - 1);
    auto text = std::ranges::find(scoring.texts, seen, &ScoredText::ids);
    if (text == scoring.texts.end()) {
      text = scoring.texts.insert(text, {.ids = seen, .targets = {}});
    }
    for (std::size_t i = common; i < ids.size(); ++i) {
      scoring.parts[choice].emplace_back(text - scoring.texts.begin(), text->targets.size());
      text->targets.push_back({.row = static_cast<std::int64_t>(i) - 1, .token = ids[i]});
    }
  }
  return scoring;
}

}  // namespace tyllm::evaluate
