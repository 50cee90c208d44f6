// SPDX-License-Identifier: Apache-2.0
#include "common/cli/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::cli {
namespace {

const std::vector<std::string> kKnown = {"quantize", "convert", "compile", "run"};

TEST(NearestTest, FindsSlipsOfTyping) {
  EXPECT_EQ(Nearest("qauntize", kKnown), "quantize");
  EXPECT_EQ(Nearest("complie", kKnown), "compile");
  EXPECT_EQ(Nearest("rnu", kKnown), "run");
  EXPECT_EQ(Nearest("converts", kKnown), "convert");
}

TEST(NearestTest, FindsNothingForOtherWords) {
  EXPECT_EQ(Nearest("serve", kKnown), "");
  EXPECT_EQ(Nearest("", kKnown), "");
  EXPECT_EQ(Nearest(std::string(100000, 'x'), kKnown), "");
}

}  // namespace
}  // namespace tyllm::cli
