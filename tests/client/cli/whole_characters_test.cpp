// SPDX-License-Identifier: Apache-2.0
#include "client/cli/whole_characters.h"

#include <gtest/gtest.h>

namespace tyllm::client {
namespace {

TEST(WholeCharacters, AreTheSameWhereverTheTextIsCut) {
  const std::string text = "a\u00e9\u4e2d\U0001f600z";
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      WholeCharacters characters;
      std::string all;
      for (const auto& piece :
           {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
        const std::string taken = characters.Take(piece);
        // A piece that was cut within a character would begin with its rest.
        EXPECT_TRUE(taken.empty() || (static_cast<unsigned char>(taken[0]) & 0xc0U) != 0x80)
            << first << " " << second;
        all += taken;
      }
      EXPECT_EQ(all, text);
      EXPECT_EQ(characters.Rest(), "");
    }
  }
}

TEST(WholeCharacters, WhatIsNoneIsNotHeldBackForEver) {
  WholeCharacters characters;
  EXPECT_EQ(characters.Take("\xff\xfe"), "\xff\xfe");
  EXPECT_EQ(characters.Take("\x80\x80\x80\x80"), "\x80\x80\x80\x80");
  EXPECT_EQ(characters.Take("a\xe4\xb8"), "a");
  EXPECT_EQ(characters.Rest(), "\xe4\xb8");
}

}  // namespace
}  // namespace tyllm::client
