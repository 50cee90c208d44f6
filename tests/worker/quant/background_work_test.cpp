// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/background_work.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::quant {
namespace {

class BackgroundWorkTest : public ::testing::TestWithParam<bool> {};

TEST_P(BackgroundWorkTest, DoesAllPiecesInOrder) {
  std::vector<int> done;
  BackgroundWork work(GetParam());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(work.Start([&done, i] {
                      done.push_back(i);
                      return OkStatus();
                    })
                    .ok());
  }
  ASSERT_TRUE(work.Finish().ok());
  ASSERT_EQ(done.size(), 20U);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
  }
}

TEST_P(BackgroundWorkTest, NothingIsBegunAfterAFailure) {
  int done = 0;
  BackgroundWork work(GetParam());
  Status status = work.Start([] { return DataLoss("the disk is full"); });
  for (int i = 0; i < 20 && status.ok(); ++i) {
    status = work.Start([&done] {
      ++done;
      return OkStatus();
    });
  }
  if (status.ok()) {
    status = work.Finish();
  }
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(done, 0);
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutAThread, BackgroundWorkTest, ::testing::Bool());

}  // namespace
}  // namespace tyllm::quant
