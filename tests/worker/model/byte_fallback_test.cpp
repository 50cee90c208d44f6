// SPDX-License-Identifier: Apache-2.0
// Tokenizers whose tokens are characters, with tokens of bytes for characters that are none.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/support/fallback_tokenizer.h"
#include "worker/model/tokenizer.h"

namespace tyllm::model {
namespace {

using format::Json;
using testing::FallbackTokenizerJson;
using Tokens = std::vector<TokenId>;

constexpr TokenId kMark = 259;

TokenId Letter(char letter) {
  return 260 + (letter - 'a');
}

Result<Tokenizer> Parse(const Json& json) {
  return Tokenizer::Parse(format::CompactJson(json), "tokenizer.json");
}

Tokenizer Changed(const std::function<void(Json&)>& change) {
  Json json = FallbackTokenizerJson();
  change(json);
  Result<Tokenizer> tokenizer = Parse(json);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  return *std::move(tokenizer);
}

Tokenizer Plain() {
  return Changed([](Json& /*json*/) {});
}

Json Metaspace(const char* scheme, bool split) {
  return {{"type", "Metaspace"},
          {"replacement", "\u2581"},
          {"prepend_scheme", scheme},
          {"split", split}};
}

Tokenizer WithMetaspace(const char* scheme, bool split) {
  return Changed([&](Json& json) {
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = Metaspace(scheme, split);
  });
}

TEST(ByteFallbackTest, MergesCharactersBehindAMark) {
  const Tokenizer tokenizer = Plain();
  EXPECT_EQ(*tokenizer.Encode("hello w"), (Tokens{kMark, 288, Letter('o'), 289}));
  EXPECT_EQ(*tokenizer.Encode("a  b"), (Tokens{kMark, Letter('a'), 290, Letter('b')}));
  EXPECT_EQ(*tokenizer.Encode(""), Tokens{});
}

TEST(ByteFallbackTest, WritesCharactersThatAreNoTokenAsBytes) {
  EXPECT_EQ(*Plain().Encode("\u00e9\n"), (Tokens{kMark, 0xC3, 0xA9, '\n'}));
  // What looks like a byte's token in the text is characters.
  EXPECT_EQ(*Plain().Encode("<0x41>"), (Tokens{kMark, '<', '0', Letter('x'), '4', '1', '>'}));
}

TEST(ByteFallbackTest, MarksEveryTextBetweenAddedTokens) {
  EXPECT_EQ(*Plain().Encode("a<s>b</s> c"),
            (Tokens{kMark, Letter('a'), 257, kMark, Letter('b'), 258, 290, Letter('c')}));
  EXPECT_EQ(*Plain().Encode("<|end|> \n b"), (Tokens{291, kMark, Letter('b')}));
}

TEST(ByteFallbackTest, MarksOnlyTheBeginningWhereMetaspaceSaysFirst) {
  const Tokenizer tokenizer = WithMetaspace("first", false);
  EXPECT_EQ(*tokenizer.Encode("a<s>b"), (Tokens{kMark, Letter('a'), 257, Letter('b')}));
  EXPECT_EQ(*tokenizer.Encode(" a"), (Tokens{kMark, Letter('a')}));
  EXPECT_EQ(*tokenizer.Encode("<s> b"), (Tokens{257, kMark, Letter('b')}));
  EXPECT_EQ(*tokenizer.Encode("  a"), (Tokens{290, Letter('a')}));
}

TEST(ByteFallbackTest, MarksAlwaysOrNeverAsMetaspaceSays) {
  EXPECT_EQ(*WithMetaspace("always", false).Encode("a<s>b"),
            (Tokens{kMark, Letter('a'), 257, kMark, Letter('b')}));
  EXPECT_EQ(*WithMetaspace("never", false).Encode("a b"),
            (Tokens{Letter('a'), kMark, Letter('b')}));
}

TEST(ByteFallbackTest, EveryMarkBeginsAPieceWhereMetaspaceSplits) {
  EXPECT_EQ(*WithMetaspace("first", true).Encode("a  w "),
            (Tokens{kMark, Letter('a'), kMark, 289, kMark}));
}

TEST(ByteFallbackTest, TakesWholePiecesWithoutMergingWhenToldSo) {
  const Tokenizer tokenizer = Changed([](Json& json) {
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = Metaspace("first", true);
    json["model"]["vocab"]["\u2581word"] = 300;
    json["model"]["ignore_merges"] = true;
  });
  EXPECT_EQ(*tokenizer.Encode("word words"),
            (Tokens{300, 289, Letter('o'), Letter('r'), Letter('d'), Letter('s')}));
}

// Text is merged in stretches where no merge reaches across; merges across marks and across the
// tokens of bytes keep stretches together.
TEST(ByteFallbackTest, MergesReachAcrossWordsAndBytesWhereThereAreSuch) {
  const Tokenizer tokenizer = Changed([](Json& json) {
    auto& model = json["model"];
    model["vocab"]["o\u2581"] = 300;
    model["vocab"]["o\u2581w"] = 301;
    model["vocab"]["<0xC3><0xA9>"] = 302;
    model["vocab"]["<0xC3><0xA9>x"] = 303;
    model["merges"] = {"o \u2581", "o\u2581 w", "<0xC3> <0xA9>", "<0xC3><0xA9> x"};
  });
  EXPECT_EQ(*tokenizer.Encode("o w\u00e9x"), (Tokens{kMark, 301, 303}));
}

// The reference merges a whole document as one word; the queue for long stretches and the loop for
// short ones give the same.
TEST(ByteFallbackTest, LongTextsMergeAsTheirParts) {
  const Tokenizer tokenizer = Plain();
  std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
  const std::vector<std::string> parts = {" ", "w", "he", "l", "\u00e9", "x", "\n", "o"};
  for (int round = 0; round < 50; ++round) {
    std::string text;
    for (int i = 0; i < 300; ++i) {
      text += parts[random() % parts.size()];
    }
    const Tokens tokens = *tokenizer.Encode(text);
    EXPECT_EQ(tokenizer.Decode(tokens), text);
    // "x" and line breaks take part in no merge: what is between them is merged alone.
    Tokens joined;
    std::size_t begin = 0;
    while (begin <= text.size()) {
      const std::size_t end = std::min(text.find_first_of("x\n", begin), text.size());
      const std::string part = text.substr(begin, end - begin);
      Tokens alone = part.empty() ? Tokens() : *WithMetaspace("never", false).Encode(part);
      joined.insert(joined.end(), alone.begin(), alone.end());
      if (end < text.size()) {
        joined.push_back(text[end] == 'x' ? Letter('x') : '\n');
      }
      begin = end + 1;
    }
    EXPECT_EQ(*WithMetaspace("never", false).Encode(text), joined) << text;
  }
}

TEST(ByteFallbackTest, SurvivesLongRunsOfAnything) {
  const Tokenizer tokenizer = Plain();
  for (const char* unit :
       {"a", " ", "\n", "he", "hello", "\u00e9", "\u2581", "<", "<s>", "\U0001F642"}) {
    std::string text;
    while (text.size() < 200'000) {
      text += unit;
    }
    const auto tokens = tokenizer.Encode(text);
    ASSERT_TRUE(tokens.ok()) << tokens.status().message();
    EXPECT_LE(tokens->size(), text.size() + 2);
  }
}

TEST(ByteFallbackTest, RefusesTextThatIsNotUtf8) {
  const auto tokens = Plain().Encode("ab\xFFz");
  ASSERT_FALSE(tokens.ok());
  EXPECT_NE(tokens.status().message().find("byte 255 at offset 2"), std::string::npos);
}

TEST(ByteFallbackTest, DecodesMarksAsSpacesAndTakesOneFromTheFront) {
  const Tokenizer tokenizer = Plain();
  EXPECT_EQ(tokenizer.Decode(Tokens{kMark, 288, Letter('o'), 289}), "hello w");
  EXPECT_EQ(tokenizer.Decode(Tokens{257, 290, Letter('a'), 258}), " a");
  EXPECT_EQ(tokenizer.Decode(Tokens{257, kMark, Letter('a')}, false), "<s> a");
  EXPECT_EQ(tokenizer.Decode(Tokens{Letter('a'), kMark}), "a ");
  EXPECT_EQ(tokenizer.Decode(Tokens{kMark}), "");
  EXPECT_EQ(tokenizer.Decode(Tokens{' ', 'x'}), "x");
}

TEST(ByteFallbackTest, DecodesBytesToCharacters) {
  const Tokenizer tokenizer = Plain();
  EXPECT_EQ(tokenizer.Decode(Tokens{0xE2, 0x82, 0xAC, Letter('x')}), "\u20acx");
  EXPECT_EQ(tokenizer.Decode(Tokens{0xE2, 257, 0x82, 0xAC}), "\u20ac");
  // The reference writes U+FFFD for every byte of a run that is no text as a whole; here what is
  // text stays.
  EXPECT_EQ(tokenizer.Decode(Tokens{0xE2, 0x82, Letter('x'), 0xFF, 'y'}), "\uFFFDx\uFFFDy");
}

TEST(ByteFallbackTest, DecodesByMetaspaceWithoutTheSpacesOfTheFirstToken) {
  const Tokenizer tokenizer =
      Changed([](Json& json) { json["decoder"] = Metaspace("always", true); });
  EXPECT_EQ(tokenizer.Decode(Tokens{257, 290, kMark, Letter('a')}), " a");
  EXPECT_EQ(tokenizer.Decode(Tokens{Letter('a'), 290}), "a  ");
  const Tokenizer never = Changed([](Json& json) { json["decoder"] = Metaspace("never", true); });
  EXPECT_EQ(never.Decode(Tokens{kMark, Letter('a')}), " a");
}

TEST(ByteFallbackTest, StreamsWholeCharactersAndTakesTheSpaceOnce) {
  const Tokenizer tokenizer = Plain();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push(257), "");
  EXPECT_EQ(decoder.Push(kMark), "");
  EXPECT_EQ(decoder.Push(kMark), " ");
  EXPECT_EQ(decoder.Push(Letter('a')), "a");
  EXPECT_EQ(decoder.Push(0xF0), "");
  EXPECT_EQ(decoder.Push(0x9F), "");
  EXPECT_EQ(decoder.Push(0x99), "");
  EXPECT_EQ(decoder.Push(0x82), "\U0001F642");
  EXPECT_EQ(decoder.Push(289), " w");
  EXPECT_EQ(decoder.Push(0xE2), "");
  EXPECT_EQ(decoder.Flush(), "\uFFFD");
}

TEST(ByteFallbackTest, FindsAddedTokensByTheirRules) {
  const Tokenizer tokenizer = Changed([](Json& json) {
    auto& added = json["added_tokens"];
    added.push_back({{"id", 300}, {"content", "<mask>"}, {"lstrip", true}});
    added.push_back({{"id", 301}, {"content", "QQ"}, {"single_word", true}});
    added.push_back({{"id", 302}, {"content", "<t>"}, {"normalized", true}});
  });
  EXPECT_EQ(*tokenizer.Encode("a \u3000<mask>"), (Tokens{kMark, Letter('a'), 300}));
  EXPECT_EQ(*tokenizer.Encode("<|end|> <mask>"), (Tokens{291, 300}));
  EXPECT_EQ(*tokenizer.Encode("QQ"), (Tokens{301}));
  EXPECT_EQ(*tokenizer.Encode("QQa"), (Tokens{kMark, 'Q', 'Q', Letter('a')}));
  EXPECT_EQ(*tokenizer.Encode("\u00e9QQ"), (Tokens{kMark, 0xC3, 0xA9, 'Q', 'Q'}));
  // A token of the normalized text is normalized too: it has a mark in front.
  EXPECT_EQ(*tokenizer.Encode("<t>a"), (Tokens{302, Letter('a')}));
  EXPECT_EQ(*tokenizer.Encode("a<t>"), (Tokens{kMark, Letter('a'), '<', Letter('t'), '>'}));
  EXPECT_EQ(tokenizer.Decode(Tokens{Letter('a'), 302}), "a <t>");
}

struct Refusal {
  const char* pointer;  // what of the file is replaced
  Json value;
  const char* message;  // what the error says, among other things
};

class ByteFallbackRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(ByteFallbackRefusalTest, NamesWhatIsWrong) {
  Json json = FallbackTokenizerJson();
  json[Json::json_pointer(GetParam().pointer)] = GetParam().value;
  const Result<Tokenizer> tokenizer = Parse(json);
  const std::string error = tokenizer.ok() ? "no error" : tokenizer.status().message();
  EXPECT_NE(error.find(GetParam().message), std::string::npos) << error;
}

const std::string kLong(100, 'x');

INSTANTIATE_TEST_SUITE_P(
    Parts, ByteFallbackRefusalTest,
    ::testing::Values(
        Refusal{"/normalizer/normalizers", 3, "without a list 'normalizers'"},
        Refusal{"/normalizer/normalizers/0/type", "Lowercase", "normalizer[0] is 'Lowercase'"},
        Refusal{"/normalizer/normalizers/0/prepend", 7, "prepend is the number 7"},
        Refusal{"/normalizer/normalizers/0/prepend", kLong, "prepend has 100 bytes"},
        Refusal{"/normalizer/normalizers/1/content", kLong, "content has 100 bytes"},
        Refusal{"/normalizer/normalizers/1/pattern", {{"Regex", " "}}, "a regular expression"},
        Refusal{"/normalizer/normalizers/1/pattern/String", "", "pattern is empty"},
        Refusal{"/pre_tokenizer", {{"type", "ByteLevel"}}, "pre_tokenizer is 'ByteLevel'"},
        Refusal{"/pre_tokenizer", {{"type", "Metaspace"}}, "no key 'replacement'"},
        Refusal{"/pre_tokenizer", Metaspace("last", true), "'last'"},
        Refusal{"/pre_tokenizer",
                {{"type", "Metaspace"}, {"replacement", "ab"}},
                "replacement is 'ab', expected one character"},
        Refusal{"/pre_tokenizer",
                {{"type", "Metaspace"},
                 {"replacement", "_"},
                 {"add_prefix_space", false},
                 {"prepend_scheme", "always"}},
                "expected 'never'"},
        Refusal{"/decoder", {{"type", "ByteLevel"}}, "decoder is 'ByteLevel'"},
        Refusal{"/decoder/decoders/1/type", "WordPiece", "decoder[1] is 'WordPiece'"},
        Refusal{"/decoder/decoders", Json::array(), "decoder[0] is missing"},
        Refusal{"/decoder/decoders/3/start", 2, "start 2, stop 0"},
        Refusal{"/decoder/decoders/4", {{"type", "Fuse"}}, "decoder[4] is 'Fuse'"},
        Refusal{"/model/vocab", {{"a", 0}}, "no token for byte 0 ('<0x00>')"},
        Refusal{"/model/vocab/he", 287, "both have the id 287"},
        Refusal{"/model/vocab/he", "x", "'he' has the id \"x\""},
        Refusal{"/model/merges/1", "q zz", "joins 'q' and 'zz'"},
        Refusal{"/model/merges/1", {"", "a"}, "expected two texts that are not empty"},
        Refusal{"/model/merges/1", 5, "model.merges[1] is no pair"},
        Refusal{"/added_tokens/3/lstrip", 1, "lstrip is the number 1"},
        Refusal{"/added_tokens/3/id", 259, "both have the id 259"}));

TEST(ByteFallbackTest, RefusesAnAddedTokenOfWhichNothingIsLeft) {
  Json json = FallbackTokenizerJson();
  json["normalizer"]["normalizers"] =
      Json::array({{{"type", "Replace"}, {"pattern", {{"String", "<t>"}}}, {"content", ""}}});
  json["added_tokens"].push_back({{"id", 300}, {"content", "<t>"}, {"normalized", true}});
  const Result<Tokenizer> tokenizer = Parse(json);
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_NE(tokenizer.status().message().find("nothing is left of the added token '<t>'"),
            std::string::npos)
      << tokenizer.status().message();
}

TEST(ByteFallbackTest, GivesUpOnANormalizerThatMultipliesText) {
  const Tokenizer tokenizer = Changed([](Json& json) {
    const Json grow = {
        {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(60, 'a')}};
    json["normalizer"]["normalizers"] = Json::array({grow, grow, grow, grow, grow, grow, grow});
  });
  const auto tokens = tokenizer.Encode("aaaa");
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(tokens.status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tyllm::model
