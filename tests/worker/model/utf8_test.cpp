// SPDX-License-Identifier: Apache-2.0
#include "worker/model/utf8.h"

#include <gtest/gtest.h>

namespace tyllm::model {
namespace {

TEST(Utf8Test, MeasuresTheValidBeginning) {
  EXPECT_EQ(ValidUtf8Prefix(""), 0U);
  EXPECT_EQ(ValidUtf8Prefix("0123456789\u00e9\u20ac\U0001F642"), 19U);
  EXPECT_EQ(ValidUtf8Prefix("01234567\xFFx"), 8U);
  EXPECT_EQ(ValidUtf8Prefix("a\xC0\xAF"), 1U) << "overlong";
  EXPECT_EQ(ValidUtf8Prefix("\xE0\x80\xAF"), 0U) << "overlong";
  EXPECT_EQ(ValidUtf8Prefix("\xED\xA0\x80"), 0U) << "surrogate";
  EXPECT_EQ(ValidUtf8Prefix("\xF4\x90\x80\x80"), 0U) << "beyond U+10FFFF";
  EXPECT_EQ(ValidUtf8Prefix("\xE2\x82"), 0U) << "unfinished";
}

// The example of the Unicode standard, section 3.9, table 3-11.
TEST(Utf8Test, ReplacesEachMaximalSubpart) {
  std::string bytes = "\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64";
  EXPECT_EQ(TakeUtf8(bytes, true),
            "a\uFFFD\uFFFD\uFFFD"
            "b\uFFFD"
            "c\uFFFD\uFFFD"
            "d");
  EXPECT_EQ(bytes, "");
}

TEST(Utf8Test, KeepsAnUnfinishedCharacterForLater) {
  std::string bytes = "x\xF0\x9F\x99";
  EXPECT_EQ(TakeUtf8(bytes, false), "x");
  EXPECT_EQ(bytes, "\xF0\x9F\x99");
  bytes += "\x82";
  EXPECT_EQ(TakeUtf8(bytes, false), "\U0001F642");
  bytes = "\xE2";
  EXPECT_EQ(TakeUtf8(bytes, true), "\uFFFD");
}

}  // namespace
}  // namespace tyllm::model
