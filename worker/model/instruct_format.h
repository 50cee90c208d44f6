// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "worker/model/chat_message.h"

namespace tyllm::model {

/// Where a system message goes, which these formats have no turn for.
enum class SystemPlace : std::uint8_t {
  kNowhere,        ///< it is refused
  kFirstQuestion,  ///< before the first question
  kLastMessage,    ///< before the last message where that is a question; else it is dropped
  kLastQuestion,   ///< before the last question, and before those of the same words
  kTagged,         ///< before the first question, between <<SYS>> and <</SYS>>
};

/// Conversations between [INST] and [/INST]: Mistral's, with spaces that are others in each
/// version, and Llama 2's.
class InstructFormat {
 public:
  /// What a Jinja template writes, found by its expressions. None: another format.
  static std::optional<InstructFormat> Find(std::string_view jinja);

  /// Questions and answers take turns, after at most one system message; else an error as the
  /// template gives one.
  Result<std::string> Write(std::span<const ChatMessage> messages, const TurnTokens& tokens) const;

 private:
  struct Turn {
    std::string_view before, behind;  // of the content
    bool trims = false;               // the content
    bool begins = false;              // the beginning-of-text token is before every turn
    std::string_view after_end;       // behind the end-of-text token
  };

  struct TurnRow {
    std::string_view expression;
    Turn turn;
  };

  struct SystemRow {
    std::string_view expression;
    SystemPlace place = SystemPlace::kNowhere;
  };

  static const TurnRow kQuestions[];
  static const TurnRow kAnswers[];
  static const SystemRow kSystems[];

  /// Whether the system message goes before the question messages[i].
  bool HasPlace(std::size_t i, std::span<const ChatMessage> messages,
                std::string_view last_question) const;
  std::string Introduced(const std::string& system) const;

  Turn question_;
  Turn answer_;
  SystemPlace system_ = SystemPlace::kNowhere;
};

}  // namespace tyllm::model
