// SPDX-License-Identifier: Apache-2.0
#include "common/format/image_pairs.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace tyllm::format {
namespace {

Result<ImagePair> Read(const char* text) {
  return ReadImagePair(*format::ParseJson(text, "line"), "/data", "line 1");
}

TEST(ImagePairs, CaptionsHaveTheirImagesBeforeTheText) {
  const auto pair = Read(R"({"image": ["a.png", "b/c.jpg"], "text": "Two."})");
  ASSERT_TRUE(pair.ok()) << pair.status().ToString();
  ASSERT_EQ(pair->messages.size(), 1U);
  EXPECT_EQ(pair->messages[0].parts,
            (std::vector<MessagePart>{{"", "/data/a.png"}, {"", "/data/b/c.jpg"}, {"Two.", {}}}));
  EXPECT_EQ(pair->Images().size(), 2U);
}

TEST(ImagePairs, ConversationsHaveThemAtTheirMarkers) {
  const auto pair = Read(R"({"image": "a.png", "conversations": [
      {"from": "human", "value": "See <image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]})");
  ASSERT_TRUE(pair.ok()) << pair.status().ToString();
  ASSERT_EQ(pair->messages.size(), 2U);
  EXPECT_EQ(pair->messages[0].role, "user");
  EXPECT_EQ(pair->messages[0].parts,
            (std::vector<MessagePart>{{"See ", {}}, {"", "/data/a.png"}, {"\nWhat is it?", {}}}));
  EXPECT_EQ(pair->messages[1].role, "assistant");
}

TEST(ImagePairs, MessagesHaveThemAmongTheirContent) {
  const auto pair = Read(R"({"messages": [{"role": "user", "content": [
      {"type": "image", "image": "a.png"}, {"type": "text", "text": "Hm?"}]},
      {"role": "assistant", "content": "A dog."}]})");
  ASSERT_TRUE(pair.ok()) << pair.status().ToString();
  EXPECT_EQ(pair->Images(), (std::vector<Path>{"/data/a.png"}));
  EXPECT_EQ(pair->messages[1].parts, (std::vector<MessagePart>{{"A dog.", {}}}));
}

TEST(ImagePairs, BadLinesAreErrorsThatNameTheLine) {
  for (const char* const text :
       {"[1]", "{}", R"({"image": 3, "text": "a"})", R"({"image": "a.png"})",
        R"({"image": "../secret.png", "text": "a"})", R"({"image": "/etc/a.png", "text": "a"})",
        R"({"image": "a.png", "conversations": [{"from": "human", "value": "no marker"}]})",
        R"({"image": "a.png", "conversations": [{"from": "human", "value": "<image><image>"}]})",
        R"({"messages": [{"role": "user"}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "audio"}]}]})"}) {
    const auto pair = Read(text);
    ASSERT_FALSE(pair.ok()) << text;
    EXPECT_NE(pair.status().message().find("line 1"), std::string::npos) << pair.status().message();
  }
}

TEST(ImagePairs, AFileIsReadUpToTheWantedNumberAndFoundInAFolder) {
  const tyllm::testing::TemporaryDirectory folder;
  std::ofstream(folder / "pairs.jsonl") << "\n"
                                        << R"({"image": "a.png", "text": "1"})" << "\n"
                                        << R"({"text": "2"})" << "\n"
                                        << "not json\n";
  std::ofstream(folder / "a.png") << "x";
  EXPECT_EQ(*FindPairFile(folder.path()), folder / "pairs.jsonl");
  EXPECT_EQ(*FindPairFile(folder / "pairs.jsonl"), folder / "pairs.jsonl");
  EXPECT_EQ(*FindPairFile(folder / "a.png"), std::nullopt);
  const auto pairs = ReadImagePairs(folder / "pairs.jsonl", 2);
  ASSERT_TRUE(pairs.ok()) << pairs.status().ToString();
  EXPECT_EQ(pairs->size(), 2U);
  const auto broken = ReadImagePairs(folder / "pairs.jsonl", 9);
  EXPECT_NE(broken.status().message().find("line 4"), std::string::npos);
  std::ofstream(folder / "texts.jsonl") << R"({"text": "plain"})";
  EXPECT_EQ(*FindPairFile(folder / "texts.jsonl"), std::nullopt);
}

}  // namespace
}  // namespace tyllm::format
