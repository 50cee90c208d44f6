// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/crew.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

namespace tyllm::simulator {
namespace {

TEST(Crew, EachWorkerRunsOnceWhetherItWaitedActivelyOrSlept) {
  for (const int workers : {1, 2, 5}) {
    Crew crew(workers);
    ASSERT_EQ(crew.workers(), workers);
    std::vector<int> runs(static_cast<std::size_t>(workers));
    for (int round = 1; round <= 50; ++round) {
      crew.Run([&](std::int64_t worker) { ++runs[static_cast<std::size_t>(worker)]; });
      ASSERT_EQ(runs, std::vector<int>(static_cast<std::size_t>(workers), round));
      if (round % 20 == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than they are awake
      }
    }
  }
}

TEST(Crew, WorkersRunAtTheSameTime) {
  Crew crew(3);
  std::atomic<int> inside = 0;
  crew.Run([&](std::int64_t /*worker*/) {
    ++inside;
    while (inside < 3) {
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(inside, 3);
}

TEST(Crew, GoesOnWithTheThreadsThatTheSystemGives) {
  int started = 0;
  Crew crew(8, [&](std::function<void()> work) {
    if (started == 2) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    ++started;
    return std::jthread(std::move(work));
  });
  ASSERT_EQ(crew.workers(), 3);
  std::vector<int> runs(3);
  crew.Run([&](std::int64_t worker) { ++runs[static_cast<std::size_t>(worker)]; });
  EXPECT_EQ(runs, std::vector<int>(3, 1));
}

TEST(Crew, EndsWithoutHavingRun) {
  Crew crew(4);
}

}  // namespace
}  // namespace tyllm::simulator
