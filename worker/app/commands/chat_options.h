// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "common/cli/command.h"
#include "worker/model/chat_template.h"

namespace tyllm::app {

/// Options of commands that take a prompt: whether it is a message of a conversation.
struct ChatArguments {
  bool chat = false;
  std::optional<std::string> system;
  bool thinking = true;

  /// Nothing without --chat. An error where what belongs to it is given without it.
  Result<std::optional<model::ChatPrompt>> ToPrompt() const;
};

/// `arguments` outlives the spec.
void AddChatOptions(cli::CommandSpec& spec, ChatArguments& arguments);

}  // namespace tyllm::app
