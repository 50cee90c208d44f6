// SPDX-License-Identifier: Apache-2.0
#include "common/base/json_string.h"

#include <gtest/gtest.h>

namespace tyllm {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(JsonString, StaysOneLineOfText) {
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("a \"b\" \\ c\nd\t\x7f"), R"("a \"b\" \\ c\nd\u0009\u007f")");
  EXPECT_EQ(Quoted("\u00e4\u4e2d\U0001F600"), "\"\u00e4\u4e2d\U0001F600\"");
}

TEST(JsonString, BytesThatAreNoTextAreReplaced) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(Quoted("a\xff"
                   "b"),
            "\"a" + mark + "b\"");
  EXPECT_EQ(Quoted("\xc3"), "\"" + mark + "\"");
  EXPECT_EQ(Quoted("\xc0\xaf"), "\"" + mark + mark + "\"");             // too long a form
  EXPECT_EQ(Quoted("\xed\xa0\x80"), "\"" + mark + mark + mark + "\"");  // half of a pair
  EXPECT_EQ(Quoted("\xf0\x9f\x98"), "\"" + mark + mark + mark + "\"");  // cut off
  EXPECT_EQ(Quoted("\xf5\x80\x80\x80"), "\"" + mark + mark + mark + mark + "\"");
}

}  // namespace
}  // namespace tyllm
