// SPDX-License-Identifier: Apache-2.0
#include "common/base/wildcard.h"

#include <gtest/gtest.h>

#include <string>

namespace tyllm {
namespace {

TEST(Wildcard, StarsStandForAnyCharactersOrNone) {
  EXPECT_TRUE(FitsWildcard("gpu-*", "gpu-"));
  EXPECT_TRUE(FitsWildcard("gpu-*", "gpu-7"));
  EXPECT_TRUE(FitsWildcard("*", ""));
  EXPECT_TRUE(FitsWildcard("*.farm", "a.b.farm"));
  EXPECT_TRUE(FitsWildcard("a*b*c", "a--b-b--c"));
  EXPECT_TRUE(FitsWildcard("", ""));
  EXPECT_FALSE(FitsWildcard("", "a"));
  EXPECT_FALSE(FitsWildcard("gpu", "gpu-7"));
  EXPECT_FALSE(FitsWildcard("gpu-*", "cpu-7"));
  EXPECT_FALSE(FitsWildcard("a*b*c", "a--c--b"));
}

TEST(Wildcard, ManyStarsTakeNoLongTime) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) {
    pattern += "a*";
  }
  EXPECT_FALSE(FitsWildcard(pattern + "b", std::string(10'000, 'a')));
}

TEST(Wildcard, ANameIsNone) {
  EXPECT_TRUE(IsWildcard("gpu-*"));
  EXPECT_FALSE(IsWildcard("gpu-7"));
}

}  // namespace
}  // namespace tyllm
