// SPDX-License-Identifier: Apache-2.0
#include "common/base/parallel.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace tyllm {
namespace {

TEST(ThreadPool, CallsTheBodyOnceForEveryIndexRoundAfterRound) {
  ThreadPool pool(3);
  EXPECT_EQ(pool.threads(), 3);
  for (std::int64_t count = 0; count < 300; ++count) {
    std::vector<int> calls(static_cast<std::size_t>(count));
    pool.ParallelFor(count, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(count), 1));
  }
}

TEST(ThreadPool, OneThreadIsTheCaller) {
  ThreadPool pool(1);
  int sum = 0;
  pool.ParallelFor(10, [&](std::int64_t i) { sum += static_cast<int>(i); });
  EXPECT_EQ(sum, 45);
}

}  // namespace
}  // namespace tyllm
