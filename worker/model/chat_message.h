// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tyllm::model {

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant"
  std::string content;
};

/// What templates call bos_token and eos_token.
struct TurnTokens {
  std::string begin = "<s>";
  std::string end = "</s>";
};

}  // namespace tyllm::model
