// SPDX-License-Identifier: Apache-2.0
#include "common/wire/text.h"

#include <gtest/gtest.h>

namespace tyllm::wire {
namespace {

constexpr std::string_view kBad = "\xEF\xBF\xBD";

TEST(ValidUtf8, LeavesGoodTextAlone) {
  for (const std::string_view good : {"", "plain", "gr\xC3\xBC\xC3\x9F", "\xE2\x82\xAC",
                                      "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(ValidUtf8(good), good);
  }
}

TEST(ValidUtf8, ReplacesEveryBadByte) {
  const std::string bad(kBad);
  EXPECT_EQ(ValidUtf8("a\xFFz"), "a" + bad + "z");
  EXPECT_EQ(ValidUtf8("\xC3"), bad) << "cut at the end";
  EXPECT_EQ(ValidUtf8("\xC0\x80"), bad + bad) << "overlong";
  EXPECT_EQ(ValidUtf8("\xE0\x80\x80"), bad + bad + bad) << "overlong";
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80"), bad + bad + bad) << "a surrogate";
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80"), bad + bad + bad + bad) << "beyond U+10FFFF";
  EXPECT_EQ(ValidUtf8("\xE2\x82z"), bad + bad + "z") << "what follows is kept";
}

TEST(Shortened, CutsBetweenCharacters) {
  EXPECT_EQ(Shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(Shortened("abcdefg", 6), "abc...");
  EXPECT_EQ(Shortened("ab\xE2\x82\xAC\xE2\x82\xAC", 7), "ab...");
}

}  // namespace
}  // namespace tyllm::wire
