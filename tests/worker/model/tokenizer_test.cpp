// SPDX-License-Identifier: Apache-2.0
#include "worker/model/tokenizer.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/byte_tokenizer.h"

namespace tyllm::model {
namespace {

using format::Json;
using testing::ByteTokenizerJson;
using Tokens = std::vector<TokenId>;

Result<Tokenizer> Parse(const Json& json) {
  return Tokenizer::Parse(format::CompactJson(json), "tokenizer.json");
}

Tokenizer ByteTokenizer() {
  return *Parse(ByteTokenizerJson());
}

// The message about a tokenizer.json that `change` made unusable.
std::string ErrorAfter(const std::function<void(Json&)>& change) {
  Json json = ByteTokenizerJson();
  change(json);
  const Result<Tokenizer> tokenizer = Parse(json);
  return tokenizer.ok() ? "no error" : tokenizer.status().message();
}

TEST(TokenizerTest, MergesByRankWithinPieces) {
  const Tokenizer tokenizer = ByteTokenizer();
  EXPECT_EQ(*tokenizer.Encode("hello"), (Tokens{258, 'o'}));
  EXPECT_EQ(*tokenizer.Encode("lll"), (Tokens{257, 'l'}));
  EXPECT_EQ(*tokenizer.Encode("hell w"), (Tokens{258, 259}));
  EXPECT_EQ(*tokenizer.Encode(""), Tokens{});
}

TEST(TokenizerTest, FindsAddedTokensAnywhere) {
  const Tokenizer tokenizer = ByteTokenizer();
  EXPECT_EQ(*tokenizer.Encode("h<|end|>e<tool><|end|"),
            (Tokens{'h', 260, 'e', 261, '<', '|', 'e', 'n', 'd', '|'}));
  EXPECT_EQ(tokenizer.FindAdded("<|end|>"), 260);
  EXPECT_EQ(tokenizer.FindAdded("he"), std::nullopt);
}

TEST(TokenizerTest, PrefersTheLongestAddedToken) {
  Json json = ByteTokenizerJson();
  json["added_tokens"].push_back({{"id", 300}, {"content", "<|end|>>"}});
  json["added_tokens"].push_back({{"id", 301}, {"content", "<|"}});
  const Tokenizer tokenizer = *Parse(json);
  EXPECT_EQ(*tokenizer.Encode("<|end|>>"), (Tokens{300}));
  EXPECT_EQ(*tokenizer.Encode("<|en"), (Tokens{301, 'e', 'n'}));
  EXPECT_EQ(tokenizer.size(), 302);
}

TEST(TokenizerTest, NormalizesToNfc) {
  Json json = ByteTokenizerJson();
  json["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(*Parse(json)->Encode("e\u0301"), (Tokens{0xC3, 0xA9}));
  EXPECT_EQ(*ByteTokenizer().Encode("e\u0301"), (Tokens{'e', 0xCC, 0x81}));
}

TEST(TokenizerTest, LooksForNormalizedAddedTokensInNormalizedText) {
  Json json = ByteTokenizerJson();
  json["normalizer"] = {{"type", "NFC"}};
  json["added_tokens"].push_back({{"id", 300}, {"content", "e\u0301"}, {"normalized", true}});
  json["added_tokens"].push_back({{"id", 301}, {"content", "o\u0301"}, {"normalized", false}});
  const Tokenizer tokenizer = *Parse(json);
  EXPECT_EQ(*tokenizer.Encode("\u00e9 e\u0301"), (Tokens{300, ' ', 300}));
  EXPECT_EQ(*tokenizer.Encode("o\u0301 \u00f3"), (Tokens{301, ' ', 0xC3, 0xB3}));
}

TEST(TokenizerTest, TakesMergesAsPairs) {
  Json json = ByteTokenizerJson();
  json["model"]["merges"] = Json::parse(R"([["l", "l"], ["h", "e"]])");
  EXPECT_EQ(*Parse(json)->Encode("hello"), (Tokens{256, 257, 'o'}));
}

TEST(TokenizerTest, TakesWholePiecesWithoutMergingWhenToldSo) {
  Json json = ByteTokenizerJson();
  json["model"]["vocab"]["hello"] = 262;
  EXPECT_EQ(*Parse(json)->Encode("hello"), (Tokens{258, 'o'}));
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(*Parse(json)->Encode("hello hello"), (Tokens{262, ' ', 258, 'o'}));
}

TEST(TokenizerTest, TakesTheByteLevelPatternOfGpt2) {
  Json json = ByteTokenizerJson();
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_EQ(*Parse(json)->Encode("he wll"), (Tokens{256, 259, 257}));
}

TEST(TokenizerTest, ALongPieceMergesAsAShortOne) {
  // A word of 10 n letters is merged with a queue, its parts by looking at all neighbours.
  const Tokenizer tokenizer = ByteTokenizer();
  std::string text;
  Tokens expected;
  for (int i = 0; i < 50; ++i) {
    text += "hellollhel";
    const Tokens part = {258, 'o', 257, 256, 'l'};
    expected.insert(expected.end(), part.begin(), part.end());
  }
  EXPECT_EQ(*tokenizer.Encode("hellollhel"), (Tokens{258, 'o', 257, 256, 'l'}));
  EXPECT_EQ(*tokenizer.Encode(text), expected);
}

TEST(TokenizerTest, ACachedPieceGivesTheSameTokens) {
  const Tokenizer tokenizer = ByteTokenizer();
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    text += "hell w";
  }
  const Tokens tokens = *tokenizer.Encode(text);
  ASSERT_GT(tokens.size(), 2000U);
  EXPECT_EQ(tokenizer.Decode(tokens), text);
  // The first "hell" has no cache entry, the later " whell" have.
  EXPECT_EQ(tokens[0], 258);
  EXPECT_EQ(tokens[1], 259);
  EXPECT_EQ(tokens[2], 258);
}

TEST(TokenizerTest, RefusesTextThatIsNotUtf8) {
  const auto tokens = ByteTokenizer().Encode("ab\xFFz");
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(tokens.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(tokens.status().message().find("byte 255 at offset 2"), std::string::npos);
}

TEST(TokenizerTest, DecodesToValidText) {
  const Tokenizer tokenizer = ByteTokenizer();
  EXPECT_EQ(tokenizer.Decode(Tokens{258, 'o', 260, 261}), "hello<tool>");
  EXPECT_EQ(tokenizer.Decode(Tokens{258, 260}, false), "hell<|end|>");
  EXPECT_EQ(tokenizer.Decode(Tokens{0xE2, 0x82, 'x', 0xFF}), "\uFFFDx\uFFFD");
  EXPECT_EQ(tokenizer.Decode(Tokens{-1, 5000000, 'x'}), "x");
}

TEST(TokenizerTest, StreamsWholeCharacters) {
  const Tokenizer tokenizer = ByteTokenizer();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push('a'), "a");
  EXPECT_EQ(decoder.Push(0xF0), "");
  EXPECT_EQ(decoder.Push(0x9F), "");
  EXPECT_EQ(decoder.Push(0x99), "");
  EXPECT_EQ(decoder.Push(0x82), "\U0001F642");
  EXPECT_EQ(decoder.Push(260), "");
  EXPECT_EQ(decoder.Push(0xE2), "");
  EXPECT_EQ(decoder.Push('b'), "\uFFFDb");
  EXPECT_EQ(decoder.Push(0xC3), "");
  EXPECT_EQ(decoder.Flush(), "\uFFFD");
  EXPECT_EQ(decoder.Flush(), "");
}

TEST(TokenizerTest, NamesTheFileThatIsMissing) {
  const auto tokenizer = Tokenizer::Load("/nonexistent");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.status().code(), StatusCode::kNotFound);
  EXPECT_NE(tokenizer.status().message().find("/nonexistent/tokenizer.json"), std::string::npos);
}

TEST(TokenizerTest, RefusesWhatIsNoTokenizer) {
  EXPECT_NE(Tokenizer::Parse("{", "f").status().message().find("f is not valid JSON"),
            std::string::npos);
  EXPECT_NE(Tokenizer::Parse("[]", "f").status().message().find("no tokenizer.json"),
            std::string::npos);
  EXPECT_NE(Tokenizer::Parse(R"({"model":{}})", "f").status().message().find("'pre_tokenizer'"),
            std::string::npos);
}

TEST(TokenizerTest, RefusesJsonThatNestsTooDeep) {
  const std::string deep(1'000'000, '[');
  const auto tokenizer = Tokenizer::Parse(R"({"model":{},"padding":)" + deep, "f");
  EXPECT_NE(tokenizer.status().message().find("deep"), std::string::npos);
}

struct Refusal {
  const char* pointer;  // what of the file is replaced
  Json value;
  const char* message;  // what the error says, among other things
};

class TokenizerRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(TokenizerRefusalTest, NamesWhatIsWrong) {
  const std::string error = ErrorAfter(
      [&](Json& json) { json[Json::json_pointer(GetParam().pointer)] = GetParam().value; });
  EXPECT_NE(error.find(GetParam().message), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Parts, TokenizerRefusalTest,
    ::testing::Values(
        Refusal{"/normalizer", {{"type", "NFKC"}}, "normalizer is 'NFKC', which is not supported"},
        Refusal{"/normalizer", 3, "normalizer is the number 3"},
        Refusal{"/pre_tokenizer", nullptr, "pre_tokenizer is null"},
        Refusal{"/pre_tokenizer", {{"type", "Metaspace"}}, "pre_tokenizer is 'Metaspace'"},
        Refusal{"/pre_tokenizer/pretokenizers/0/type", "Digits", "pre_tokenizer[0] is 'Digits'"},
        Refusal{"/pre_tokenizer/pretokenizers/0/behavior", "Removed", "'Removed'"},
        Refusal{"/pre_tokenizer/pretokenizers/0/invert", true, "inverted"},
        Refusal{"/pre_tokenizer/pretokenizers/0/pattern", Json::object(), "'Regex' or 'String'"},
        Refusal{"/pre_tokenizer/pretokenizers/0/pattern/Regex", "(", "is not understood at byte"},
        Refusal{"/pre_tokenizer/pretokenizers/0/odd", 1, "unknown key 'odd'"},
        Refusal{"/pre_tokenizer/pretokenizers/1/add_prefix_space", true, "add_prefix_space"},
        Refusal{"/decoder/type", "WordPiece", "decoder is 'WordPiece'"},
        Refusal{"/model/type", "Unigram", "model.type is 'Unigram'"},
        Refusal{"/model/dropout", 0.1, "model.dropout"},
        Refusal{"/model/byte_fallback", true, "pre_tokenizer is 'Sequence'"},
        Refusal{"/model/end_of_word_suffix", "</w>", "'</w>'"},
        Refusal{"/model/continuing_subword_prefix", "##", "'##'"},
        Refusal{"/model/vocab", Json::object(), "model.vocab is missing or empty"},
        Refusal{"/model/vocab", {{"a", 0}}, "no token for byte 0"},
        Refusal{"/model/vocab/he", -1, "'he' has the id -1"},
        Refusal{"/model/vocab/he", 4000000000U, "'he' has the id 4000000000"},
        Refusal{"/model/vocab/he", 0.5, "'he' has the id 0.5"},
        Refusal{"/model/vocab/he", 257, "both have the id 257"},
        Refusal{"/model/merges", nullptr, "model.merges is missing"},
        Refusal{"/model/merges/1", "l l l", "model.merges[1] is no pair"},
        Refusal{"/model/merges/1", {"l"}, "model.merges[1] is no pair"},
        Refusal{"/model/merges/2", "x y", "joins 'x' and 'y'"},
        Refusal{"/added_tokens/0/content", "", "content is empty"},
        Refusal{"/model/merges/2", {"", "he"}, "joins '' and 'he', expected two texts"},
        Refusal{"/added_tokens/0/id", 256, "both have the id 256"},
        Refusal{"/added_tokens/0/id", -7, "has the id -7"},
        Refusal{"/added_tokens/0/content", "he", "in model.vocab it has 256"},
        Refusal{"/extra", 1, "unknown key 'extra'"}));

TEST(TokenizerTest, SaysWhatToDoWithAnotherKind) {
  const std::string error = ErrorAfter([](Json& json) {  // T5's
    json["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", ""}};
  });
  EXPECT_NE(error.find("normalizer is 'Precompiled'"), std::string::npos) << error;
  EXPECT_NE(error.find("--method rtn"), std::string::npos) << error;
}

TEST(TokenizerTest, GivesUpOnAPatternThatNeedsAbsurdlyManySteps) {
  Json json = ByteTokenizerJson();
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?:a+)+b|c";
  const Tokenizer tokenizer = *Parse(json);
  EXPECT_TRUE(tokenizer.Encode("aaab c").ok());
  const auto tokens = tokenizer.Encode(std::string(60, 'a'));
  ASSERT_FALSE(tokens.ok());
  EXPECT_NE(tokens.status().message().find("match limit exceeded"), std::string::npos)
      << tokens.status().message();
}

TEST(TokenizerTest, SurvivesLongRunsOfAnything) {
  const Tokenizer tokenizer = ByteTokenizer();
  for (const char* unit : {"a", " ", "\n", "1", ".", " \n", "\u0301", "<", "<|end|>"}) {
    std::string text;
    while (text.size() < 200'000) {
      text += unit;
    }
    const auto tokens = tokenizer.Encode(text);
    ASSERT_TRUE(tokens.ok()) << tokens.status().message();
    EXPECT_EQ(tokenizer.Decode(*tokens, false), text);
  }
}

}  // namespace
}  // namespace tyllm::model
