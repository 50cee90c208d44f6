// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/enum_table.h"
#include "common/base/file_system.h"
#include "worker/model/chat_message.h"
#include "worker/model/instruct_format.h"

namespace tyllm::model {

/// How a model wants a conversation written.
enum class ChatFormat : std::uint8_t {
  kChatMl,    ///< <|im_start|>role\ncontent<|im_end|>\n: Qwen
  kLlama3,    ///< <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|>: Llama 3
  kInstruct,  ///< [INST] content [/INST]: Mistral, Llama 2
  kZephyr,    ///< <|role|>\ncontent</s>\n: TinyLlama
};

inline constexpr EnumTable<ChatFormat, 4> kChatFormatNames("chat format",
                                                           {{{ChatFormat::kChatMl, "chatml"},
                                                             {ChatFormat::kLlama3, "llama3"},
                                                             {ChatFormat::kInstruct, "instruct"},
                                                             {ChatFormat::kZephyr, "zephyr"}}});

struct ChatOptions {
  /// End with the beginning of the assistant's turn.
  bool invite_answer = true;
  /// False: an empty thought is written for models that would think first (Qwen3).
  bool thinking = true;
};

/// A model's chat template, recognised rather than interpreted: the formats that the supported
/// families use are written here as their templates write them for plain text messages. Tools,
/// images and the removal of old thoughts are not done.
class ChatTemplate {
 public:
  /// From chat_template.jinja, or chat_template of tokenizer_config.json. kNotFound: neither is
  /// there. kUnimplemented: another format.
  static Result<ChatTemplate> Load(const Path& directory);
  /// From the template's text; `what` names it in messages.
  static Result<ChatTemplate> Recognise(std::string_view text, std::string_view what,
                                        TurnTokens tokens = {});

  ChatFormat format() const { return format_; }

  /// The conversation as text for Tokenizer::Encode. An empty one is an error, and so is one that
  /// the format cannot write.
  Result<std::string> Render(std::span<const ChatMessage> messages,
                             const ChatOptions& options = {}) const;

 private:
  ChatFormat format_ = ChatFormat::kChatMl;
  std::string default_system_;  // written when the conversation has no system message
  bool can_skip_thinking_ = false;
  InstructFormat instruct_;
  TurnTokens tokens_;
};

/// One message of a person, as the beginning of a conversation.
struct ChatPrompt {
  std::optional<std::string> system;  ///< a system message before it
  bool thinking = true;               ///< see ChatOptions
};

/// `prompt` as a user's message in the chat format of the model in `directory`, up to where the
/// answer begins. Errors as ChatTemplate::Load.
Result<std::string> WriteChatPrompt(const Path& directory, const std::string& prompt,
                                    const ChatPrompt& chat);

}  // namespace tyllm::model
