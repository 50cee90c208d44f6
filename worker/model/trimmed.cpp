// SPDX-License-Identifier: Apache-2.0
#include "worker/model/trimmed.h"

#include <algorithm>

#include "worker/model/character_classes.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

std::string Trimmed(std::string_view text) {
  if (ValidUtf8Prefix(text) != text.size()) {
    return std::string(text);
  }
  std::size_t begin = text.size();
  std::size_t end = text.size();
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character character = FirstCharacter(text.substr(at));
    const bool separates = character.code >= 0x1C && character.code <= 0x1F;
    if (!separates && !IsWhiteSpace(character.code)) {
      begin = std::min(begin, at);
      end = at + character.length;
    }
    at += character.length;
  }
  return std::string(text.substr(begin, begin == text.size() ? 0 : end - begin));
}

}  // namespace tyllm::model
