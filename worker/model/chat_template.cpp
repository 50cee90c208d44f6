// SPDX-License-Identifier: Apache-2.0
#include "worker/model/chat_template.h"

#include <filesystem>
#include <vector>

#include "common/format/json.h"
#include "worker/model/default_system.h"
#include "worker/model/trimmed.h"

namespace tyllm::model {

namespace {

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string ChatMlTurn(std::string_view role, std::string_view content) {
  std::string turn("<|im_start|>");
  return turn.append(role).append("\n").append(content).append("<|im_end|>\n");
}

std::string Llama3Header(std::string_view role) {
  std::string header("<|start_header_id|>");
  return header.append(role).append("<|end_header_id|>\n\n");
}

std::string ZephyrTurn(std::string_view role, std::string_view content, std::string_view end) {
  std::string turn("<|");
  return turn.append(role).append("|>\n").append(content).append(end).append("\n");
}

// TinyLlama's: every role has its tag, and every turn ends with the end-of-text token and the line
// break behind the expression.
bool IsZephyr(std::string_view text) {
  return Has(text, "{{ '<|user|>\\n' + message['content'] + eos_token }}\n{%") &&
         Has(text, "{{ '<|system|>\\n' + message['content'] + eos_token }}\n{%") &&
         Has(text, "{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{%") &&
         Has(text, "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{%");
}

// A special token in tokenizer_config.json is text, or an object with its content.
void ReadToken(const format::Json& config, const char* key, std::string& token) {
  const format::Json found =
      config.is_object() ? config.value(key, format::Json(token)) : format::Json(token);
  const format::Json content = found.is_object() ? found.value("content", format::Json()) : found;
  token = content.is_string() ? content.get<std::string>() : std::string();
}

// The template in tokenizer_config.json: a text, or a list of named ones of which "default" counts.
Result<std::string> FromTokenizerConfig(const format::Json& config, const Path& path) {
  const std::string what = path.string() + ": chat_template";
  const format::Json found =
      config.is_object() ? config.value("chat_template", format::Json()) : format::Json();
  if (found.is_null()) {
    return NotFound(what +
                    " is missing, and there is no chat_template.jinja beside it; give the "
                    "prompt as plain text instead of a chat");
  }
  if (found.is_string()) {
    return found.get<std::string>();
  }
  if (found.is_array()) {
    for (const format::Json& entry : found) {
      if (entry.is_object() && entry.value("name", format::Json()) == "default" &&
          entry.value("template", format::Json()).is_string()) {
        return entry.at("template").get<std::string>();
      }
    }
  }
  return format::WrongKind(what, found, "text, or a list with one that is named 'default'");
}

}  // namespace

Result<ChatTemplate> ChatTemplate::Load(const Path& directory) {
  const Path path = directory / "tokenizer_config.json";
  const Path jinja = directory / "chat_template.jinja";
  std::error_code error;
  const bool alone = std::filesystem::exists(jinja, error);
  format::Json config;
  if (!alone || std::filesystem::exists(path, error)) {
    TYLLM_ASSIGN(config, format::ReadJsonFile(path));
  }
  TurnTokens tokens;
  ReadToken(config, "bos_token", tokens.begin);
  ReadToken(config, "eos_token", tokens.end);
  if (alone) {
    TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(jinja));
    return Recognise(text, jinja.string(), tokens);
  }
  TYLLM_ASSIGN(const std::string text, FromTokenizerConfig(config, path));
  return Recognise(text, path.string() + ": chat_template", tokens);
}

Result<ChatTemplate> ChatTemplate::Recognise(std::string_view text, std::string_view what,
                                             TurnTokens tokens) {
  ChatTemplate recognised;
  recognised.tokens_ = std::move(tokens);
  if (Has(text, "<|im_start|>") && Has(text, "<|im_end|>")) {
    recognised.format_ = ChatFormat::kChatMl;
    TYLLM_ASSIGN(recognised.default_system_, FindDefaultSystem(text, what));
    recognised.can_skip_thinking_ = Has(text, "enable_thinking");
    return recognised;
  }
  // Llama 3.1 and later put the date of today into a system message.
  if (Has(text, "<|start_header_id|>") && Has(text, "<|eot_id|>") &&
      !Has(text, "Cutting Knowledge Date")) {
    recognised.format_ = ChatFormat::kLlama3;
    return recognised;
  }
  if (IsZephyr(text)) {
    recognised.format_ = ChatFormat::kZephyr;
    return recognised;
  }
  if (const auto instruct = InstructFormat::Find(text)) {
    recognised.format_ = ChatFormat::kInstruct;
    recognised.instruct_ = *instruct;
    return recognised;
  }
  return Unimplemented(std::string(what) + " begins '" + std::string(text.substr(0, 60)) +
                       "', which is no chat format that is supported; supported: ChatML "
                       "(<|im_start|>), Llama 3 (<|start_header_id|>), [INST] as Mistral's and "
                       "Llama 2's templates write it, and TinyLlama's (<|user|>). Write the "
                       "conversation as plain text");
}

Result<std::string> ChatTemplate::Render(std::span<const ChatMessage> messages,
                                         const ChatOptions& options) const {
  if (messages.empty()) {
    return InvalidArgument("the conversation has no messages, expected at least one");
  }
  std::string text;
  switch (format_) {
    case ChatFormat::kChatMl:
      if (!default_system_.empty() && messages.front().role != "system") {
        text += ChatMlTurn("system", default_system_);
      }
      for (const ChatMessage& message : messages) {
        text += ChatMlTurn(message.role, message.content);
      }
      if (options.invite_answer) {
        text += "<|im_start|>assistant\n";
        text += can_skip_thinking_ && !options.thinking ? "<think>\n\n</think>\n\n" : "";
      }
      return text;
    case ChatFormat::kLlama3:
      text = "<|begin_of_text|>";
      for (const ChatMessage& message : messages) {
        text += Llama3Header(message.role) + Trimmed(message.content) + "<|eot_id|>";
      }
      text += options.invite_answer ? Llama3Header("assistant") : "";
      return text;
    case ChatFormat::kInstruct:  // an answer follows the question at once
      return instruct_.Write(messages, tokens_);
    case ChatFormat::kZephyr:
      for (const ChatMessage& message : messages) {
        text += ZephyrTurn(message.role, message.content, tokens_.end);
      }
      text += options.invite_answer ? "<|assistant|>\n" : "";
      return text;
  }
  return Internal("a chat format without a writer");
}

Result<std::string> WriteChatPrompt(const Path& directory, const std::string& prompt,
                                    const ChatPrompt& chat) {
  TYLLM_ASSIGN(const ChatTemplate format, ChatTemplate::Load(directory));
  std::vector<ChatMessage> messages;
  if (chat.system) {
    messages.push_back({"system", *chat.system});
  }
  messages.push_back({"user", prompt});
  return format.Render(messages, {.invite_answer = true, .thinking = chat.thinking});
}

}  // namespace tyllm::model
