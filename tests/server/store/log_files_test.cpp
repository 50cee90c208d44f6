// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_files.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/power_cut_file_system.h"
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

// A size that is answered is a promise: bytes of which the sync failed are in the file, and do not
// count.
TEST(LogFiles, WhatIsAnsweredWasSyncedWhicheverChangeFails) {
  const std::string first = "hello ";
  const std::string second = "world";
  for (int healthy = 0; healthy < 14; ++healthy) {
    SCOPED_TRACE("fault at change " + std::to_string(healthy));
    const testing::TemporaryDirectory folder;
    testing::FaultyFileSystem faulty(healthy, testing::FaultyFileSystem::Fault::kOnce);
    LogFiles logs(faulty, folder.path());
    for (const auto& [offset, bytes] : {std::pair(0, first), std::pair(6, second)}) {
      const auto before = logs.Size(kAttempt);
      const auto added = logs.Append(kAttempt, offset, bytes);
      if (!added.ok()) {
        EXPECT_EQ(*logs.Size(kAttempt), *before);
        const int changes = faulty.changes();
        EXPECT_EQ(*logs.Append(kAttempt, offset, bytes),
                  offset + static_cast<std::int64_t>(bytes.size()));
        EXPECT_GT(faulty.changes(), changes + 2) << "the bytes are written and synced again";
      }
    }
    EXPECT_EQ(*logs.Read(kAttempt, 0, 100), first + second);
  }
}

TEST(LogFiles, WhatAnEarlierProcessLeftIsSyncedBeforeItCounts) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(LogFiles(LocalFileSystem(), folder.path()).Append(kAttempt, 0, "hello").ok());
  testing::FaultyFileSystem watched(1000);
  LogFiles logs(watched, folder.path());
  EXPECT_EQ(*logs.Size(kAttempt), 5);
  EXPECT_GE(watched.changes(), 2);
  testing::FaultyFileSystem failing(1);
  EXPECT_FALSE(LogFiles(failing, folder.path()).Size(kAttempt).ok());
}

TEST(LogFiles, ATornTailOfAnEarlierProcessIsWrittenOver) {
  const testing::TemporaryDirectory folder;
  {
    LogFiles logs(LocalFileSystem(), folder.path());
    ASSERT_TRUE(logs.Append(kAttempt, 0, std::string("hello\0\0", 7)).ok());
  }
  LogFiles logs(LocalFileSystem(), folder.path());
  EXPECT_EQ(*logs.Append(kAttempt, 5, " world"), 11);
  EXPECT_EQ(*logs.Read(kAttempt, 0, 100), "hello world");
}

TEST(LogFiles, WhateverIsAnsweredSurvivesAPowerCutAtAnyChange) {
  int healthy = 0;
  for (bool done = false; !done; ++healthy) {
    SCOPED_TRACE("power cut at change " + std::to_string(healthy));
    const testing::TemporaryDirectory folder;
    testing::PowerCutFileSystem disk(healthy);
    std::int64_t answered = 0;
    const std::string text = "one line\nanother line\nthe last line\n";
    {
      LogFiles logs(disk, folder / "logs");
      for (std::int64_t at = 0; at < static_cast<std::int64_t>(text.size()); at += 7) {
        const auto size = logs.Append(kAttempt, at, text.substr(static_cast<std::size_t>(at), 7));
        if (!size.ok()) {
          break;
        }
        answered = *size;
      }
    }
    done = !disk.failed();
    disk.LosePower();
    LogFiles logs(LocalFileSystem(), folder / "logs");
    EXPECT_EQ(logs.Read(kAttempt, 0, answered)->size(), static_cast<std::size_t>(answered));
    EXPECT_TRUE(text.starts_with(*logs.Read(kAttempt, 0, 100)));
    const std::int64_t size = *logs.Size(kAttempt);
    EXPECT_TRUE(logs.Append(kAttempt, size, text.substr(static_cast<std::size_t>(size))).ok());
    EXPECT_EQ(*logs.Read(kAttempt, 0, 100), text);
  }
  EXPECT_GT(healthy, 15);
}

TEST(LogFiles, ATasksLogsAreRemovedTogether) {
  const testing::TemporaryDirectory folder;
  LogFiles logs(LocalFileSystem(), folder.path());
  ASSERT_TRUE(logs.Append(kAttempt, 0, "x").ok());
  ASSERT_TRUE(logs.Append({domain::TaskId{9}, 1}, 0, "y").ok());
  ASSERT_TRUE(logs.Remove(kAttempt.task).ok());
  EXPECT_EQ(*logs.Tasks(), std::vector{domain::TaskId{9}});
  EXPECT_EQ(*logs.Size(kAttempt), 0);
}

}  // namespace
}  // namespace tyllm::server::store
