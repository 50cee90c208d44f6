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

TEST(StagingTest, WhatComesMeanwhileStaysAndSoDoesTheWork) {
  for (const auto unfinished : {Staging::Unfinished::kKeep, Staging::Unfinished::kNever}) {
    const TemporaryDirectory folder;
    const Path out = folder / "out";
    std::filesystem::create_directory(out);
    {
      auto staging = Staging::Open(LocalFileSystem(), out, "key", unfinished);
      ASSERT_TRUE(staging.ok()) << staging.status().ToString();
      Put(staging->path() / "complete", "hours of it");
      Put(out / "thesis.txt", "mine");
      const Status status = staging->Commit();
      EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
      EXPECT_NE(status.message().find("out.partial"), std::string::npos) << status.message();
    }
    EXPECT_EQ(*LocalFileSystem().Read(out / "thesis.txt"), "mine");
    EXPECT_EQ(*LocalFileSystem().Read(folder / "out.partial" / "complete"), "hours of it");
    EXPECT_FALSE(std::filesystem::exists(folder / "out.partial.request"));
    std::filesystem::remove_all(out);
    const auto again = Staging::Open(LocalFileSystem(), out, "key", unfinished);
    if (unfinished == Staging::Unfinished::kKeep) {
      ASSERT_TRUE(again.ok()) << again.status().ToString();
      EXPECT_TRUE(again->resumed());
    } else {  // nothing but the key says that nobody wants it
      EXPECT_EQ(again.status().code(), StatusCode::kAlreadyExists);
    }
    EXPECT_TRUE(std::filesystem::exists(folder / "out.partial" / "complete"));
  }
}

TEST(StagingTest, AnEmptyFolderIsReplaced) {
  const TemporaryDirectory folder;
  std::filesystem::create_directory(folder / "out");
  auto staging = Staging::Open(LocalFileSystem(), folder / "out", "key");
  ASSERT_TRUE(staging.ok());
  Put(staging->path() / "complete", "x");
  ASSERT_TRUE(staging->Commit().ok());
  EXPECT_EQ(*LocalFileSystem().Read(folder / "out" / "complete"), "x");
}

TEST(StagingTest, PassingWorkIsInvisibleUntilCommitAndGoneWhenDropped) {
  const TemporaryDirectory folder;
  const auto open = [&](const char* name) {
    return Staging::Open(LocalFileSystem(), folder / name, "key", Staging::Unfinished::kNever);
  };
  {
    const auto dropped = open("out");
    ASSERT_TRUE(dropped.ok()) << dropped.status().ToString();
    Put(dropped->path() / "f", "x");
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  auto staging = open("out/");
  ASSERT_TRUE(staging.ok());
  Put(staging->path() / "f", "x");
  ASSERT_TRUE(staging->Commit().ok());
  EXPECT_EQ(*LocalFileSystem().Read(folder / "out" / "f"), "x");
}

TEST(StagingTest, PassingWorkThrowsAwayWhatAKillLeftOfItsKindAlone) {
  const TemporaryDirectory folder;
  Put(folder / "out.partial" / "half", "of it");
  Put(folder / "out.partial" / ".request", "convert");
  Put(folder / "other.partial" / "layers", "of a night");
  Put(folder / "other.partial" / ".request", "quantize");
  Put(folder / "third.partial" / "thesis.txt", "mine");
  const auto open = [&](const char* name) {
    return Staging::Open(LocalFileSystem(), folder / name, "convert", Staging::Unfinished::kNever);
  };
  const auto staging = open("out");
  ASSERT_TRUE(staging.ok()) << staging.status().ToString();
  EXPECT_FALSE(std::filesystem::exists(folder / "out.partial" / "half"));
  EXPECT_EQ(open("out").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::exists(staging->path()));
  EXPECT_EQ(open("other").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(*LocalFileSystem().Read(folder / "other.partial" / "layers"), "of a night");
  EXPECT_EQ(open("third").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(*LocalFileSystem().Read(folder / "third.partial" / "thesis.txt"), "mine");
}

TEST(StagingTest, LinksAreFollowedAndStay) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder / "disk" / "empty");
  std::filesystem::create_directory_symlink(folder / "disk" / "empty", folder / "link");
  {
    auto staging = Staging::Open(LocalFileSystem(), folder / "link", "key");
    ASSERT_TRUE(staging.ok()) << staging.status().ToString();
    EXPECT_EQ(staging->path().parent_path().filename(), "disk");
    Put(staging->path() / "f", "x");
    ASSERT_TRUE(staging->Commit().ok());
  }
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(*LocalFileSystem().Read(folder / "disk" / "empty" / "f"), "x");
  std::filesystem::create_symlink(folder / "nowhere", folder / "dangling");
  for (const Path& out : {folder / "dangling", folder / "dangling" / "out"}) {
    const Status status = Staging::Open(LocalFileSystem(), out, "key").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << out;
    EXPECT_NE(status.message().find("dangling"), std::string::npos) << status.message();
  }
}

TEST(StagingTest, TheCurrentFolderIsRefusedBeforeAnyWork) {
  const TemporaryDirectory folder;
  const Path before = std::filesystem::current_path();
  std::filesystem::create_directory(folder / "here");
  std::filesystem::current_path(folder / "here");
  for (const char* out : {".", "./", "../here", "x/.."}) {
    const Status status = Staging::Open(LocalFileSystem(), out, "key").status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << out;
    EXPECT_NE(status.message().find("current folder"), std::string::npos) << status.message();
  }
  auto staging = Staging::Open(LocalFileSystem(), "out", "key");
  std::filesystem::current_path(before);
  ASSERT_TRUE(staging.ok()) << staging.status().ToString();
  ASSERT_TRUE(staging->Commit().ok());  // wherever that is
  EXPECT_TRUE(std::filesystem::is_directory(folder / "here" / "out"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
}  // namespace tyllm
