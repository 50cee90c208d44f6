// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_files.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

const domain::AttemptId kAttempt{domain::TaskId{7}, 2};

TEST(LogFiles, AppendingTheSameBytesTwiceKeepsThemOnce) {
  const testing::TemporaryDirectory folder;
  LogFiles logs(LocalFileSystem(), folder.path());
  EXPECT_EQ(*logs.Size(kAttempt), 0);
  EXPECT_EQ(*logs.Append(kAttempt, 0, "hello"), 5);
  EXPECT_EQ(*logs.Append(kAttempt, 0, "hello"), 5);
  EXPECT_EQ(*logs.Append(kAttempt, 0, "he"), 5);
  EXPECT_EQ(*logs.Append(kAttempt, 3, "lo world"), 11);
  EXPECT_EQ(*logs.Append(kAttempt, 11, ""), 11);
  EXPECT_EQ(*logs.Read(kAttempt, 0, 100), "hello world");
  EXPECT_EQ(*logs.Read(kAttempt, 6, 3), "wor");
  EXPECT_EQ(*logs.Read(kAttempt, 50, 3), "");
  EXPECT_TRUE(std::filesystem::exists(folder / "t7/2.log"));
}

TEST(LogFiles, AGapIsRefusedAndSaysWhereToGoOn) {
  const testing::TemporaryDirectory folder;
  LogFiles logs(LocalFileSystem(), folder.path());
  ASSERT_TRUE(logs.Append(kAttempt, 0, "abc").ok());
  const auto gap = logs.Append(kAttempt, 4, "x");
  EXPECT_EQ(gap.status().code(), StatusCode::kOutOfRange);
  EXPECT_NE(gap.status().message().find("send from 3 on"), std::string::npos);
  EXPECT_EQ(logs.Append(kAttempt, -1, "x").status().code(), StatusCode::kOutOfRange);
}

TEST(LogFiles, AttemptsHaveLogsOfTheirOwn) {
  const testing::TemporaryDirectory folder;
  LogFiles logs(LocalFileSystem(), folder.path());
  ASSERT_TRUE(logs.Append(kAttempt, 0, "second").ok());
  EXPECT_EQ(*logs.Read({kAttempt.task, 1}, 0, 10), "");
}

TEST(LogFiles, AfterAFullDiskTheSameAppendGoesThrough) {
  for (int healthy = 0; healthy < 7; ++healthy) {
    const testing::TemporaryDirectory folder;
    testing::FaultyFileSystem faulty(healthy);
    LogFiles failing(faulty, folder.path());
    const auto failed = failing.Append(kAttempt, 0, "hello");
    if (faulty.failed()) {
      EXPECT_EQ(failed.status().code(), StatusCode::kResourceExhausted) << healthy;
    }
    LogFiles logs(LocalFileSystem(), folder.path());
    EXPECT_EQ(*logs.Append(kAttempt, 0, "hello"), 5);
    EXPECT_EQ(*logs.Read(kAttempt, 0, 10), "hello");
  }
}

}  // namespace
}  // namespace tyllm::server::store
