// SPDX-License-Identifier: Apache-2.0
#include "worker/model/instruct_format.h"

#include <algorithm>

#include "worker/model/trimmed.h"

namespace tyllm::model {

namespace {

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The template without white space and "-" of its tags, and with ' for ": expressions read alike
// then however they are laid out. What is inside quotes stays.
std::string Condensed(std::string_view jinja) {
  std::string out;
  char quote = '\0';
  for (std::size_t i = 0; i < jinja.size(); ++i) {
    const char c = jinja[i];
    if (quote == '\0' && jinja.substr(i).starts_with("{#")) {
      i = std::min(jinja.find("#}", i), jinja.size() - 1) + 1;  // what it says is no expression
    } else if (quote != '\0') {
      out += c == quote ? '\'' : c;
      quote = c == quote ? '\0' : quote;
    } else if (c == '\'' || c == '"') {
      quote = c;
      out += '\'';
    } else if (c == '-' &&
               (out.ends_with("{{") || out.ends_with("{%") ||
                jinja.substr(i + 1).starts_with("}}") || jinja.substr(i + 1).starts_with("%}"))) {
      continue;
    } else if (!IsSpace(c)) {
      out += c;
    }
  }
  return out;
}

// Where the tag at the front ends, behind "}}", "%}" or "#}"; quotes may hold such. 0: nowhere.
std::size_t TagSize(std::string_view jinja) {
  if (jinja[1] == '#') {
    const std::size_t end = jinja.find("#}");
    return end == std::string_view::npos ? 0 : end + 2;
  }
  char quote = '\0';
  for (std::size_t i = 2; i + 1 < jinja.size(); ++i) {
    const char c = jinja[i];
    if (quote != '\0') {
      quote = c == quote ? '\0' : quote;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if ((c == '}' || c == '%') && jinja[i + 1] == '}') {
      return i + 2;
    }
  }
  return 0;
}

std::size_t NextTag(std::string_view jinja) {
  return std::min({jinja.find("{{"), jinja.find("{%"), jinja.find("{#"), jinja.size()});
}

// What is left of text between two tags (empty ones at the template's ends), as templates are read
// for models: a line break behind a statement goes, and so do blanks from a line's beginning to a
// statement.
std::string_view TextBetween(std::string_view before, std::string_view text,
                             std::string_view behind) {
  const bool after_statement = before.ends_with("%}") || before.ends_with("#}");
  const bool before_statement = behind.starts_with("{%") || behind.starts_with("{#");
  const bool from_line_start = before.empty() || (after_statement && text.starts_with('\n'));
  if (after_statement && text.starts_with('\n')) {
    text.remove_prefix(1);
  }
  const bool trims_front = before.size() > 2 && before[before.size() - 3] == '-';
  const bool trims_back = behind.size() > 2 && behind[2] == '-';
  while (trims_front && !text.empty() && IsSpace(text.front())) {
    text.remove_prefix(1);
  }
  while (trims_back && !text.empty() && IsSpace(text.back())) {
    text.remove_suffix(1);
  }
  const std::size_t blanks = text.find_last_not_of(" \t") + 1;  // 0: blanks alone
  if (before_statement && (blanks == 0 ? from_line_start : text[blanks - 1] == '\n')) {
    text = text.substr(0, blanks);
  }
  return text;
}

// Whether the template writes nothing but what its expressions give; a line break ends the file.
bool WritesExpressionsAlone(std::string_view jinja) {
  std::string_view before;
  while (true) {
    const std::size_t next = NextTag(jinja);
    const std::string_view tag =
        jinja.substr(next, next == jinja.size() ? 0 : TagSize(jinja.substr(next)));
    const std::string_view text = TextBetween(before, jinja.substr(0, next), tag);
    if (tag.empty()) {
      return next == jinja.size() && (text.empty() || text == "\n");
    }
    if (!text.empty()) {
      return false;
    }
    before = tag;
    jinja.remove_prefix(next + tag.size());
  }
}

template <typename Row>
const Row* FindRow(std::span<const Row> rows, std::string_view condensed) {
  for (const Row& row : rows) {
    if (Has(condensed, row.expression)) {
      return &row;
    }
  }
  return nullptr;
}

Status OutOfTurn(std::size_t number, std::string_view role, std::string_view expected) {
  return InvalidArgument("message " + std::to_string(number) + " of the conversation is of '" +
                         std::string(role) + "', expected '" + std::string(expected) +
                         "': in this model's chat format user and assistant take turns");
}

}  // namespace

// Mistral-7B-Instruct v0.1 and v0.2 as they are now; as they were; v0.3 and Mixtral-8x22B; Nemo;
// Llama 2.
const InstructFormat::TurnRow InstructFormat::kQuestions[] = {
    {"{{' [INST] '+message['content']+' [/INST]'}}", {.before = " [INST] ", .behind = " [/INST]"}},
    {"{{'[INST] '+message['content']+' [/INST]'}}", {.before = "[INST] ", .behind = " [/INST]"}},
    {"{{'[INST] '+message['content']+'[/INST]'}}", {.before = "[INST] ", .behind = "[/INST]"}},
    {"{{'[INST]'+message['content']+'[/INST]'}}", {.before = "[INST]", .behind = "[/INST]"}},
    {"{{bos_token+'[INST] '+content.strip()+' [/INST]'}}",
     {.before = "[INST] ", .behind = " [/INST]", .trims = true, .begins = true}},
};

const InstructFormat::TurnRow InstructFormat::kAnswers[] = {
    {"{{' '+message['content']+eos_token}}", {.before = " "}},
    {"{{' '+message['content']|trim+eos_token}}", {.before = " ", .trims = true}},
    {"{{message['content']+eos_token+' '}}", {.after_end = " "}},
    {"{{message['content']+eos_token}}", {}},
    {"{{' '+content.strip()+' '+eos_token}}", {.before = " ", .behind = " ", .trims = true}},
};

const InstructFormat::SystemRow InstructFormat::kSystems[] = {
    {"{%ifloop.firstandsystem_messageisdefined%}", SystemPlace::kFirstQuestion},
    {"{%ifloop.lastandsystem_messageisdefined%}", SystemPlace::kLastMessage},
    {"{%if(message==user_messages[-1])andsystem_messageisdefined%}", SystemPlace::kLastQuestion},
    {R"('<<SYS>>\n'+system_message+'\n<</SYS>>\n\n'+message['content'])", SystemPlace::kTagged},
};

std::optional<InstructFormat> InstructFormat::Find(std::string_view jinja) {
  const std::string condensed = Condensed(jinja);
  const TurnRow* const question = FindRow(std::span<const TurnRow>(kQuestions), condensed);
  const TurnRow* const answer = FindRow(std::span<const TurnRow>(kAnswers), condensed);
  const SystemRow* const system = FindRow(std::span<const SystemRow>(kSystems), condensed);
  const bool begins =
      Has(condensed, "{{bos_token}}") || (question != nullptr && question->turn.begins);
  // A system message that is written in a way that is not known here must not be lost.
  if (question == nullptr || answer == nullptr || !begins ||
      (system == nullptr && (Has(jinja, "system") || Has(jinja, "SYSTEM"))) ||
      Has(jinja, "default_system") || !WritesExpressionsAlone(jinja)) {
    return std::nullopt;
  }
  InstructFormat format;
  format.question_ = question->turn;
  format.answer_ = answer->turn;
  format.system_ = system == nullptr ? SystemPlace::kNowhere : system->place;
  return format;
}

bool InstructFormat::HasPlace(std::size_t i, std::span<const ChatMessage> messages,
                              std::string_view last_question) const {
  switch (system_) {
    case SystemPlace::kNowhere:
      return false;
    case SystemPlace::kFirstQuestion:
    case SystemPlace::kTagged:
      return i == 0;
    case SystemPlace::kLastMessage:
      return i + 1 == messages.size();
    case SystemPlace::kLastQuestion:
      return messages[i].content == last_question;
  }
  return false;
}

std::string InstructFormat::Introduced(const std::string& system) const {
  return system_ == SystemPlace::kTagged ? "<<SYS>>\n" + system + "\n<</SYS>>\n\n"
                                         : system + "\n\n";
}

Result<std::string> InstructFormat::Write(std::span<const ChatMessage> messages,
                                          const TurnTokens& tokens) const {
  std::optional<std::string> system;
  std::size_t number = 1;
  if (!messages.empty() && messages.front().role == "system") {
    if (system_ == SystemPlace::kNowhere) {
      return InvalidArgument(
          "the conversation has a system message, which this model's chat format has no place for; "
          "write it into the first message");
    }
    system = messages.front().content;
    messages = messages.subspan(1);
    ++number;
  }
  std::string_view last_question;
  for (const ChatMessage& message : messages) {
    last_question = message.role == "user" ? message.content : last_question;
  }
  std::string text = question_.begins ? "" : tokens.begin;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, content] = messages[i];
    const bool asks = i % 2 == 0;
    if (role != (asks ? "user" : "assistant")) {
      return OutOfTurn(number + i, role, asks ? "user" : "assistant");
    }
    const Turn& turn = asks ? question_ : answer_;
    const bool with_system = asks && system && HasPlace(i, messages, last_question);
    const std::string said = (with_system ? Introduced(*system) : std::string()) + content;
    text.append(turn.begins ? tokens.begin : "").append(turn.before);
    text.append(turn.trims ? Trimmed(said) : said).append(turn.behind);
    text.append(asks ? "" : tokens.end).append(turn.after_end);
  }
  return text;
}

}  // namespace tyllm::model
