// SPDX-License-Identifier: Apache-2.0
#include "worker/die/part.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::die {
namespace {

TEST(Part, PartsHaveEveryThingOfSeveralOnceAndInOneStretch) {
  const std::vector<Slice> own = {{0, 7}, {7, 8}, {8, 30}};
  for (std::uint32_t count = 1; count <= 40; ++count) {
    std::vector<std::vector<int>> times = {std::vector<int>(7), std::vector<int>(1),
                                           std::vector<int>(22)};
    for (std::uint32_t index = 0; index < count; ++index) {
      std::uint32_t things = 0;
      for (std::size_t i = 0; i < own.size(); ++i) {
        const Slice slice = Part{index, count}.Within(own[i], 30);
        for (std::uint32_t at = slice.begin; at < slice.end; ++at) {
          ++times[i].at(at);
        }
        things += slice.end - slice.begin;
      }
      const Slice all = Part{index, count}.Of(30);
      EXPECT_EQ(things, all.end - all.begin);
    }
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_EQ(times[i], std::vector<int>(times[i].size(), 1)) << count << " parts";
    }
  }
}

TEST(Part, APartThatHasNothingOfAThingGetsAnEmptySlice) {
  const Slice before = Part{1, 2}.Within({0, 8}, 16);
  EXPECT_EQ(before.begin, before.end);
  const Slice after = Part{0, 2}.Within({8, 16}, 16);
  EXPECT_EQ(after.begin, after.end);
}

}  // namespace
}  // namespace tyllm::die
