// SPDX-License-Identifier: Apache-2.0
#include "worker/model/added_tokens.h"

#include <algorithm>

#include "worker/model/character_classes.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

namespace {

// Where the character begins that ends at `end`, which is not 0.
std::size_t CharacterBefore(std::string_view text, std::size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U);
  return end;
}

bool IsInsideWord(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin > 0 &&
          IsWordCharacter(FirstCharacter(text.substr(CharacterBefore(text, begin))).code)) ||
         (end < text.size() && IsWordCharacter(FirstCharacter(text.substr(end)).code));
}

std::size_t WithSpacesBefore(std::string_view text, std::size_t begin, std::size_t covered) {
  while (begin > covered) {
    const std::size_t before = CharacterBefore(text, begin);
    if (!IsWhiteSpace(FirstCharacter(text.substr(before)).code)) {
      break;
    }
    begin = before;
  }
  return begin;
}

std::size_t WithSpacesBehind(std::string_view text, std::size_t end) {
  while (end < text.size()) {
    const Utf8Character character = FirstCharacter(text.substr(end));
    if (!IsWhiteSpace(character.code)) {
      break;
    }
    end += character.length;
  }
  return end;
}

}  // namespace

void AddedTokenMatcher::Add(std::string_view content, const AddedToken& token) {
  begins_[static_cast<unsigned char>(content.front())] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto found = nodes_[node].next.find(c);
    if (found != nodes_[node].next.end()) {
      node = found->second;
      continue;
    }
    const auto added = static_cast<std::uint32_t>(nodes_.size());
    nodes_[node].next.emplace(c, added);
    nodes_.emplace_back();
    node = added;
  }
  if (nodes_[node].rule < 0) {
    nodes_[node].rule = static_cast<std::int32_t>(rules_.size());
    rules_.push_back({token.id, token.single_word, token.lstrip, token.rstrip});
  }
}

std::optional<AddedTokenMatcher::Spelling> AddedTokenMatcher::FindSpelling(std::string_view text,
                                                                           std::size_t from) const {
  for (std::size_t start = from; start < text.size(); ++start) {
    if (!begins_[static_cast<unsigned char>(text[start])]) {
      continue;
    }
    std::optional<Spelling> best;
    std::uint32_t node = 0;
    for (std::size_t at = start; at < text.size(); ++at) {
      const auto next = nodes_[node].next.find(text[at]);
      if (next == nodes_[node].next.end()) {
        break;
      }
      node = next->second;
      if (nodes_[node].rule >= 0) {
        best = Spelling{start, at + 1, &rules_[static_cast<std::size_t>(nodes_[node].rule)]};
      }
    }
    if (best) {
      return best;
    }
  }
  return std::nullopt;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::Find(std::string_view text,
                                                                std::size_t from,
                                                                std::size_t covered) const {
  while (const auto found = FindSpelling(text, from)) {
    const auto& [begin, end, rule] = *found;
    from = end;
    if (rule->single_word && IsInsideWord(text, begin, end)) {
      continue;
    }
    return Match{.begin = rule->lstrip ? WithSpacesBefore(text, begin, covered) : begin,
                 .end = rule->rstrip ? WithSpacesBehind(text, end) : end,
                 .next = end,
                 .id = rule->id};
  }
  return std::nullopt;
}

}  // namespace tyllm::model
