// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/chat_options.h"

#include <initializer_list>
#include <utility>

namespace tyllm::app {

Result<std::optional<model::ChatPrompt>> ChatArguments::ToPrompt() const {
  if (chat) {
    return std::optional(model::ChatPrompt{system, thinking});
  }
  if (system || !thinking) {
    return InvalidArgument(std::string(system ? "--system" : "--no-thinking") +
                           " is for conversations; add --chat");
  }
  return std::optional<model::ChatPrompt>();
}

void AddChatOptions(cli::CommandSpec& spec, ChatArguments& arguments) {
  for (cli::Option option : std::initializer_list<cli::Option>{
           {"--chat", "", "take the prompt as a message, in the model's chat format",
            &arguments.chat},
           {"--system", "TEXT", "system message before it, with --chat", &arguments.system},
           {"--thinking,!--no-thinking", "", "let a model that thinks do so before it answers",
            &arguments.thinking},
       }) {
    spec.options.push_back(std::move(option));
  }
}

}  // namespace tyllm::app
