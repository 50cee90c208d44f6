// SPDX-License-Identifier: Apache-2.0
#include "common/base/staging.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm {
namespace {

using testing::TemporaryDirectory;

void Put(const Path& path, const std::string& content) {
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(path.parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, content).ok());
}

TEST(StagingTest, NamesOfUnfinishedFiles) {
  for (const char* name : {"a.tmp", "a.tmp.1", "model.safetensors.tmp", "a.so.tmp.31322"}) {
    EXPECT_TRUE(IsUnfinishedName(name)) << name;
  }
  for (const char* name : {"a", "tmp", "a.tmp.", "a.tmp.x1", "a.tmp.1x", "a.tmpx", "a.tmp.so"}) {
    EXPECT_FALSE(IsUnfinishedName(name)) << name;
  }
}

TEST(StagingTest, GoesOnWithWhatIsCompleteAndThrowsAwayWhatAKillLeft) {
  const TemporaryDirectory folder;
  const Path out = folder / "out";
  Path partial;
  {
    auto first = Staging::Open(LocalFileSystem(), out, "key");
    ASSERT_TRUE(first.ok()) << first.status().ToString();
    EXPECT_FALSE(first->resumed());
    partial = first->path();
    Put(partial / "sub" / "complete", "kept");
    Put(partial / "sub" / "program.so.tmp.31322", "half");
    Put(partial / "weights.tmp", "half");
  }
  auto second = Staging::Open(LocalFileSystem(), out, "key");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_TRUE(second->resumed());
  EXPECT_TRUE(std::filesystem::exists(partial / "sub" / "complete"));
  EXPECT_FALSE(std::filesystem::exists(partial / "sub" / "program.so.tmp.31322"));
  EXPECT_FALSE(std::filesystem::exists(partial / "weights.tmp"));
  ASSERT_TRUE(second->Commit().ok());
  EXPECT_TRUE(std::filesystem::exists(out / "sub" / "complete"));
  EXPECT_FALSE(std::filesystem::exists(out / Staging::kKeyFile));
  EXPECT_EQ(Staging::Open(LocalFileSystem(), out, "key").status().code(),
            StatusCode::kAlreadyExists);
}

TEST(StagingTest, WorkOfAnotherKeyIsThrownAway) {
  const TemporaryDirectory folder;
  {
    const auto first = Staging::Open(LocalFileSystem(), folder / "out", "one");
    ASSERT_TRUE(first.ok());
    Put(first->path() / "complete", "of one");
  }
  const auto second = Staging::Open(LocalFileSystem(), folder / "out", "two");
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->resumed());
  EXPECT_FALSE(std::filesystem::exists(second->path() / "complete"));
}

TEST(StagingTest, WorkOfTheSameKeyIsThrownAwayWhenThatIsAskedFor) {
  const TemporaryDirectory folder;
  {
    const auto first = Staging::Open(LocalFileSystem(), folder / "out", "key");
    ASSERT_TRUE(first.ok());
    Put(first->path() / "complete", "kept");
  }
  const auto second =
      Staging::Open(LocalFileSystem(), folder / "out", "key", Staging::Unfinished::kThrowAway);
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->resumed());
  EXPECT_FALSE(std::filesystem::exists(second->path() / "complete"));
}

TEST(StagingTest, AFolderWithoutAKeyIsNotTouched) {
  const TemporaryDirectory folder;
  Put(folder / "out.partial" / "thesis.txt", "mine");
  const auto staging = Staging::Open(LocalFileSystem(), folder / "out", "key");
  EXPECT_EQ(staging.status().code(), StatusCode::kAlreadyExists);
  EXPECT_NE(staging.status().message().find("out.partial"), std::string::npos);
  EXPECT_EQ(*LocalFileSystem().Read(folder / "out.partial" / "thesis.txt"), "mine");
}

TEST(StagingTest, WhatAKillLeftBeforeTheKeyWasThereIsTaken) {
  const TemporaryDirectory folder;
  Put(folder / "out.partial" / ".request.tmp.17", "ke");
  EXPECT_TRUE(Staging::Open(LocalFileSystem(), folder / "out", "key").ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "out.partial" / ".request.tmp.17"));
}

TEST(StagingTest, WhatAKillLeftWhileItGotItsNameIsThrownAway) {
  const TemporaryDirectory folder;
  Put(folder / "out.partial" / "complete", "all of it");
  Put(folder / "out.partial.request", "key");
  auto staging = Staging::Open(LocalFileSystem(), folder / "out", "key");
  ASSERT_TRUE(staging.ok()) << staging.status().ToString();
  EXPECT_FALSE(staging->resumed());
  EXPECT_FALSE(std::filesystem::exists(folder / "out.partial" / "complete"));
  ASSERT_TRUE(staging->Commit().ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "out.partial.request"));
}

TEST(StagingTest, TwoAtOnceDoNotMix) {
  const TemporaryDirectory folder;
  {
    const auto first = Staging::Open(LocalFileSystem(), folder / "out", "one");
    ASSERT_TRUE(first.ok());
    Put(first->path() / "complete", "of one");
    for (const char* key : {"one", "two"}) {
      const auto second = Staging::Open(LocalFileSystem(), folder / "out", key);
      EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
      EXPECT_NE(second.status().message().find("another process"), std::string::npos);
      EXPECT_TRUE(std::filesystem::exists(first->path() / "complete"));
    }
  }
  const auto third = Staging::Open(LocalFileSystem(), folder / "out", "one");
  ASSERT_TRUE(third.ok()) << third.status().ToString();
  EXPECT_TRUE(third->resumed());
}

}  // namespace
}  // namespace tyllm
