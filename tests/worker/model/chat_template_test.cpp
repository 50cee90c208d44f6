// SPDX-License-Identifier: Apache-2.0
#include "worker/model/chat_template.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/format/json.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::model {
namespace {

const std::vector<ChatMessage> kQuestion = {{"user", " Hi \n"}};

std::string Rendered(std::string_view text, const std::vector<ChatMessage>& messages,
                     const ChatOptions& options = {}) {
  const auto recognised = ChatTemplate::Recognise(text, "template");
  if (!recognised.ok()) {
    return recognised.status().message();
  }
  const auto rendered = recognised->Render(messages, options);
  return rendered.ok() ? *rendered : rendered.status().message();
}

constexpr const char* kPlainChatMl =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
constexpr const char* kQwen25 =
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + "
    "'<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba "
    "Cloud. You are a helpful assistant.<|im_end|>\\n' }}";
constexpr const char* kQwen3 =
    "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>' }}";
constexpr const char* kLlama3 =
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ "
    "message['content'] | trim + '<|eot_id|>' %}";

TEST(ChatTemplateTest, WritesChatMl) {
  EXPECT_EQ(Rendered(kPlainChatMl, {{"system", "Be brief."}, {"user", " Hi \n"}}),
            "<|im_start|>system\nBe brief.<|im_end|>\n"
            "<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Rendered(kPlainChatMl, kQuestion, {.invite_answer = false}),
            "<|im_start|>user\n Hi \n<|im_end|>\n");
}

TEST(ChatTemplateTest, WritesTheSystemMessageThatTheTemplateHasOfItsOwn) {
  EXPECT_EQ(Rendered(kQwen25, kQuestion, {.invite_answer = false}),
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
            "assistant.<|im_end|>\n<|im_start|>user\n Hi \n<|im_end|>\n");
  EXPECT_EQ(Rendered(kQwen25, {{"system", "x"}}, {.invite_answer = false}),
            "<|im_start|>system\nx<|im_end|>\n");
}

TEST(ChatTemplateTest, ReadsEscapesQuotesAndBracesOfTheTemplatesSystemMessage) {
  const auto system = [](const std::string& text) {
    return Rendered(text, kQuestion, {.invite_answer = false});
  };
  const std::string question = "<|im_start|>user\n Hi \n<|im_end|>\n";
  EXPECT_EQ(system(R"({{ '<|im_start|>system\nYou\'re "it"\\ {here}.\tGo\n<|im_end|>\n' }})"),
            "<|im_start|>system\nYou're \"it\"\\ {here}.\tGo\n<|im_end|>\n" + question);
  EXPECT_EQ(
      system("{# it's #}{% if x == 'y' %}<|im_start|>system\nYou're \"it\" {\\n}<|im_end|>\n"),
      "<|im_start|>system\nYou're \"it\" {\\n}<|im_end|>\n" + question);
}

/// What a template writes before a question without a system message.
std::string OwnSystem(const std::string& text) {
  const std::string question = "<|im_start|>user\n Hi \n<|im_end|>\n";
  const std::string all = Rendered(text, kQuestion, {.invite_answer = false});
  return all.ends_with(question) ? all.substr(0, all.size() - question.size()) : all;
}

TEST(ChatTemplateTest, FollowsTheVariableThatHoldsTheSystemMessage) {
  const std::string expected = "<|im_start|>system\nYou're brief.\nAlways.<|im_end|>\n";
  // As fine-tunes of Qwen set it before they look at the conversation.
  EXPECT_EQ(OwnSystem(R"({% set system_message = 'You\'re brief.\nAlways.' %})"
                      R"({% if messages[0]['role'] == 'system' %})"
                      R"({% set loop_messages = messages[1:] %})"
                      R"({% set system_message = messages[0]['content'] %})"
                      R"({% else %}{% set loop_messages = messages %}{% endif %})"
                      R"({% if system_message is defined %}{{ '<|im_start|>system\n' + )"
                      R"(system_message + '<|im_end|>\n' }}{% endif %})"),
            expected);
  // As others set it where there is none.
  EXPECT_EQ(OwnSystem(R"({%- if messages[0]["role"] == "system" -%})"
                      "\n  {%- set system_message = messages[0].content | trim -%}\n{%- else -%}\n"
                      R"(  {%- set system_message = "You're brief.\nAlways." -%})"
                      "\n{%- endif -%}\n{% for message in loop_messages %}{% if loop.first %}"
                      R"({{"<|im_start|>system\n"~system_message~"<|im_end|>\n"}}{% endif %})"),
            expected);
  // As the message that is written in the other branch.
  EXPECT_EQ(
      OwnSystem(R"({%- set default_system = "You're brief.\nAlways." %})"
                R"({%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + )"
                R"(messages[0]['content'] + '<|im_end|>\n' }}{%- else %})"
                R"({{- '<|im_start|>system\n' + default_system + '<|im_end|>\n' }}{%- endif %})"),
      expected);
  // In text, through another variable, and in one expression.
  EXPECT_EQ(OwnSystem("{% set own = 'You\\'re brief.\\nAlways.' %}{% set said = own %}"
                      "<|im_start|>system\n{{ said }}<|im_end|>\n"),
            expected);
  EXPECT_EQ(OwnSystem("{% set said = messages[0].content if messages[0].role == 'system' else "
                      "'You\\'re brief.\\nAlways.' %}<|im_start|>system\n{{- said -}}<|im_end|>\n"),
            expected);
}

TEST(ChatTemplateTest, VariablesWithoutATextOfTheirOwnAreNoSystemMessage) {
  const std::string written = "{{ '<|im_start|>system\\n' + said + '<|im_end|>\\n' }}";
  for (const char* const set :
       {"", "{% set said = messages[0]['content'] %}", "{% set said = '' %}",
        "{% set said = messages[0].content %}{% set said = false %}",
        "{% set said_before = 'x' %}{% settings said = 'x' %}", "{# {% set said = 'x' %} #}"}) {
    EXPECT_EQ(OwnSystem(set + written), "") << set;
  }
}

TEST(ChatTemplateTest, RefusesAVariableThatMayHoldThisOrThat) {
  const std::string written = "{{ '<|im_start|>system\\n' + said + '<|im_end|>\\n' }}";
  for (const char* const set :
       {"{% set said = 'a' %}{% if x %}{% set said = 'b' %}{% endif %}",
        "{% if x %}{% set said = 'a' %}{% else %}{% set said = none %}{% endif %}",
        "{% set said = 'Today is ' + date %}", "{% set said = date %}",
        "{% set said %}Today is {{ date }}{% endset %}", "{% set said = 'Caf\\u00e9' %}"}) {
    const auto found = ChatTemplate::Recognise(set + written, "chat_template");
    EXPECT_EQ(found.status().code(), StatusCode::kUnimplemented) << set;
    EXPECT_NE(found.status().message().find("--system"), std::string::npos);
  }
}

TEST(ChatTemplateTest, RefusesASystemMessageThatIsPutTogether) {
  for (const char* const text : {"{{ '<|im_start|>system\\nToday is ' + date + '<|im_end|>' }}",
                                 "<|im_start|>system\nToday is {{ date }}<|im_end|>",
                                 "{{ '<|im_start|>system\\nCaf\\u00e9<|im_end|>' }}"}) {
    const auto found = ChatTemplate::Recognise(text, "chat_template");
    EXPECT_EQ(found.status().code(), StatusCode::kUnimplemented) << text;
    EXPECT_NE(found.status().message().find("--system"), std::string::npos);
  }
  EXPECT_TRUE(ChatTemplate::Recognise("{% if tools %}{{ '<|im_start|>system\\nTools: ' + tools + "
                                      "'<|im_end|>' }}{% endif %}",
                                      "chat_template")
                  .ok());
}

TEST(ChatTemplateTest, SkipsThinkingOnlyWhereTheTemplateCan) {
  EXPECT_EQ(Rendered(kQwen3, {{"user", "Hi"}}, {.thinking = false}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
  EXPECT_EQ(Rendered(kQwen3, {{"user", "Hi"}}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Rendered(kPlainChatMl, {{"user", "Hi"}}, {.thinking = false}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplateTest, WritesLlama3WithTrimmedContent) {
  EXPECT_EQ(Rendered(kLlama3, kQuestion),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

std::vector<ChatMessage> MessagesOf(const format::Json& json) {
  std::vector<ChatMessage> messages;
  for (const format::Json& message : json) {
    messages.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  }
  return messages;
}

// Conversations that the templates themselves wrote.
TEST(ChatTemplateTest, WritesWhatTheTemplatesWrite) {
  const Path folder = Path(testing::kTestData) / "chat";
  const auto templates = *format::ReadJsonFile(folder / "templates.json");
  const auto goldens = *format::ReadJsonFile(folder / "chat.golden.json");
  ASSERT_GT(goldens.size(), 50U);
  for (const format::Json& golden : goldens) {
    const auto name = golden["template"].get<std::string>();
    SCOPED_TRACE(golden.dump());
    const auto recognised = ChatTemplate::Recognise(templates[name].get<std::string>(), name);
    ASSERT_TRUE(recognised.ok()) << recognised.status().ToString();
    const auto text = recognised->Render(MessagesOf(golden["messages"]),
                                         {.invite_answer = golden["invite_answer"].get<bool>()});
    if (golden["text"].is_null()) {
      EXPECT_EQ(text.status().code(), StatusCode::kInvalidArgument);
    } else {
      ASSERT_TRUE(text.ok()) << text.status().ToString();
      EXPECT_EQ(*text, golden["text"].get<std::string>());
    }
  }
}

constexpr const char* kInstruct =
    "{{ bos_token }}{% for message in messages %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{{ message['content'] + eos_token }}{% endfor %}";

TEST(ChatTemplateTest, SaysWhatAnInstructFormatCannotWrite) {
  EXPECT_NE(Rendered(kInstruct, {{"user", "a"}, {"user", "b"}})
                .find("message 2 of the conversation is of 'user', expected 'assistant'"),
            std::string::npos);
  EXPECT_NE(Rendered(kInstruct, {{"system", "a"}, {"user", "b"}}).find("system message"),
            std::string::npos);
}

TEST(ChatTemplateTest, RefusesInstructFormatsThatWriteMoreThanIsKnown) {
  const std::string known = kInstruct;
  for (const std::string& other :
       {known + "x", "x" + known, " " + known, known + "{# #} {{ bos_token }}",
        known + "{% if system %}{% endif %}", known + "[SYSTEM_PROMPT]",
        std::string("{{ '[INST] ' + message['content'] + ' [/INST]' }}"), known + "{{ '}}"}) {
    EXPECT_EQ(ChatTemplate::Recognise(other, "t").status().code(), StatusCode::kUnimplemented)
        << other;
  }
}

TEST(ChatTemplateTest, RefusesOtherFormats) {
  for (const char* text : {"", "{{ '<\uFF5CUser\uFF5C>' + m.content }}",
                           "<|start_header_id|><|eot_id|>Cutting Knowledge Date: December 2023"}) {
    const auto recognised = ChatTemplate::Recognise(text, "dir/chat_template.jinja");
    ASSERT_FALSE(recognised.ok());
    EXPECT_EQ(recognised.status().code(), StatusCode::kUnimplemented);
    EXPECT_EQ(recognised.status().message().rfind("dir/chat_template.jinja begins", 0), 0U);
  }
}

TEST(ChatTemplateTest, RefusesAnEmptyConversation) {
  EXPECT_FALSE(ChatTemplate::Recognise(kLlama3, "t")->Render({}).ok());
}

class ChatTemplateFileTest : public ::testing::Test {
 protected:
  void Write(const char* name, std::string_view content) {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder_ / name, content).ok());
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(ChatTemplateFileTest, PrefersTheFileOfItsOwn) {
  Write("chat_template.jinja", kPlainChatMl);
  Write("tokenizer_config.json", R"({"chat_template": "<|start_header_id|><|eot_id|>"})");
  EXPECT_EQ(ChatTemplate::Load(folder_.path())->format(), ChatFormat::kChatMl);
}

TEST_F(ChatTemplateFileTest, ReadsTheTokenizersConfiguration) {
  Write("tokenizer_config.json", R"({"chat_template": "<|start_header_id|><|eot_id|>"})");
  EXPECT_EQ(ChatTemplate::Load(folder_.path())->format(), ChatFormat::kLlama3);
  Write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "?"},
            {"name": "default", "template": "<|im_start|><|im_end|>"}]})");
  EXPECT_EQ(ChatTemplate::Load(folder_.path())->format(), ChatFormat::kChatMl);
}

TEST_F(ChatTemplateFileTest, TakesTheTokensOfTheTokenizersConfiguration) {
  Write("chat_template.jinja", kInstruct);
  const std::vector<ChatMessage> messages = {{"user", "a"}, {"assistant", "b"}};
  EXPECT_EQ(*ChatTemplate::Load(folder_.path())->Render(messages), "<s>[INST] a [/INST]b</s>");
  Write("tokenizer_config.json", R"({"bos_token": {"content": "<B>"}, "eos_token": "<E>"})");
  EXPECT_EQ(*ChatTemplate::Load(folder_.path())->Render(messages), "<B>[INST] a [/INST]b<E>");
}

TEST_F(ChatTemplateFileTest, SaysWhatIsMissingOrWrong) {
  EXPECT_EQ(ChatTemplate::Load(folder_.path()).status().code(), StatusCode::kNotFound);
  Write("tokenizer_config.json", "{}");
  EXPECT_EQ(ChatTemplate::Load(folder_.path()).status().code(), StatusCode::kNotFound);
  Write("tokenizer_config.json", R"({"chat_template": 7})");
  EXPECT_EQ(ChatTemplate::Load(folder_.path()).status().code(), StatusCode::kInvalidArgument);
  Write("tokenizer_config.json", "[");
  EXPECT_EQ(ChatTemplate::Load(folder_.path()).status().code(), StatusCode::kInvalidArgument);
}

TEST(DemoModelTest, HasAChatMlTemplate) {
  const auto loaded =
      ChatTemplate::Load(Path(testing::kSourceFolder) / "examples/models/demo-qwen3-4m");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded->format(), ChatFormat::kChatMl);
}

}  // namespace
}  // namespace tyllm::model
