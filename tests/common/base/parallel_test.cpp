// SPDX-License-Identifier: Apache-2.0
#include "common/base/parallel.h"

#include <gtest/gtest.h>
#include <pthread.h>

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

/// Threads made meanwhile ask for more memory than a process can have.
class NoThreads {
 public:
  NoThreads() {
    pthread_attr_init(&before_);
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, std::size_t{1} << 60);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
  }

  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_{};
};

TEST(ThreadPool, GoesOnWithTheThreadsThatTheMachineGives) {
  const NoThreads no_threads;
  ThreadPool pool(4);
  EXPECT_EQ(pool.threads(), 1);
  int sum = 0;
  pool.ParallelFor(10, [&](std::int64_t i) { sum += static_cast<int>(i); });
  EXPECT_EQ(sum, 45);
}

}  // namespace
}  // namespace tyllm
