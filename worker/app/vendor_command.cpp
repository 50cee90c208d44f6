// SPDX-License-Identifier: Apache-2.0
#include "worker/app/vendor_command.h"

#include <optional>

#include "worker/app/config.h"

namespace tyllm::app {
namespace {

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n';
}

Result<std::vector<std::string>> WordsOf(const std::string& text) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && IsBlank(c)) {
      if (word) {
        words.push_back(*std::move(word));
        word.reset();
      }
      continue;
    }
    word = std::move(word).value_or(std::string());
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      *word += text[++i];
    } else {
      *word += c;
    }
  }
  if (quote != 0) {
    return InvalidArgument("the command for the vendor's toolchain is '" + text + "', in which a " +
                           quote + " is not closed; add the other one, or a backslash before it");
  }
  if (word) {
    words.push_back(*std::move(word));
  }
  return words;
}

}  // namespace

Result<compile::VendorSettings> VendorSettingsOf(const std::string& command) {
  compile::VendorSettings settings;
  TYLLM_ASSIGN(settings.command,
               WordsOf(command.empty() ? EnvironmentVariable(kVendorCommandVariable) : command));
  return settings;
}

}  // namespace tyllm::app
