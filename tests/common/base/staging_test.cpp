// SPDX-License-Identifier: Apache-2.0
#include "common/base/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm {
namespace {

using ::testing::ElementsAre;
using testing::FaultyFileSystem;
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

std::vector<std::string> NamesIn(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

constexpr const char* kRecords = "records";

Result<Staging> OpenWithRecords(FileSystem& files, const Path& out, const std::string& key) {
  return Staging::Open(files, out, key, Staging::Unfinished::kKeep, kRecords);
}

TEST(StagingTest, WhatAKillLeftWhileItGotItsNameIsGoneOnWith) {
  const TemporaryDirectory folder;
  Put(folder / "out.partial" / "complete", "all of it");
  Put(folder / "out.partial.request", "key");
  Put(folder / "out.partial.records" / "1", "finished");
  {
    const auto staging = OpenWithRecords(LocalFileSystem(), folder / "out", "key");
    ASSERT_TRUE(staging.ok()) << staging.status().ToString();
    EXPECT_TRUE(staging->resumed());
    EXPECT_TRUE(std::filesystem::exists(folder / "out.partial" / "complete"));
    EXPECT_TRUE(std::filesystem::exists(folder / "out.partial" / kRecords / "1"));
  }
  auto staging = OpenWithRecords(LocalFileSystem(), folder / "out", "another");
  ASSERT_TRUE(staging.ok()) << staging.status().ToString();
  EXPECT_FALSE(staging->resumed());
  EXPECT_FALSE(std::filesystem::exists(folder / "out.partial" / "complete"));
  ASSERT_TRUE(staging->Commit().ok());
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("out", "out.partial.lock"));
}

TEST(StagingTest, WhatAKillLeftWhileItWasThrownAwayGoesAway) {
  const TemporaryDirectory folder;
  Put(folder / "out.partial.discarded" / "half", "of it");
  Put(folder / "out.partial.discarded" / ".request", "key");
  Put(folder / "out.partial.records" / "1", "finished");
  EXPECT_FALSE(OpenWithRecords(LocalFileSystem(), folder / "out", "key")->resumed());
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("out.partial"));
}

TEST(StagingTest, WhateverFailsWhileItGetsItsNameTheWorkStaysWithItsRecords) {
  for (const auto fault : {FaultyFileSystem::Fault::kOnce, FaultyFileSystem::Fault::kStays}) {
    bool failed = true;
    for (int healthy = 0; failed; ++healthy) {
      const TemporaryDirectory folder;
      FaultyFileSystem opening(1000);
      FaultyFileSystem committing(healthy, fault);
      {
        auto staging = OpenWithRecords(opening, folder / "out", "key");
        ASSERT_TRUE(staging.ok()) << staging.status().ToString();
        Put(staging->path() / "complete", "hours of it");
        Put(staging->path() / kRecords / "1", "finished");
      }
      {
        auto staging = OpenWithRecords(committing, folder / "out", "key");
        failed = !staging.ok() || !staging->Commit().ok();
      }
      if (std::filesystem::exists(folder / "out")) {
        EXPECT_THAT(NamesIn(folder / "out"), ElementsAre("complete"));
        continue;
      }
      auto again = OpenWithRecords(LocalFileSystem(), folder / "out", "key");
      ASSERT_TRUE(again.ok()) << again.status().ToString();
      EXPECT_TRUE(again->resumed()) << healthy;
      EXPECT_TRUE(std::filesystem::exists(again->path() / "complete")) << healthy;
      EXPECT_TRUE(std::filesystem::exists(again->path() / kRecords / "1")) << healthy;
      ASSERT_TRUE(again->Commit().ok());
      EXPECT_THAT(NamesIn(folder / "out"), ElementsAre("complete")) << healthy;
    }
  }
}

TEST(StagingTest, CompleteWorkThatCannotGetItsNameStaysUnlessItIsPassing) {
  for (const auto unfinished : {Staging::Unfinished::kThrowAway, Staging::Unfinished::kNever}) {
    const TemporaryDirectory folder;
    FaultyFileSystem counting(1000);
    ASSERT_TRUE(Staging::Open(counting, folder / "probe", "key", unfinished).ok());
    std::filesystem::remove_all(folder / "probe.partial");
    FaultyFileSystem files(counting.changes());
    Status status;
    {
      auto staging = Staging::Open(files, folder / "out", "key", unfinished);
      ASSERT_TRUE(staging.ok()) << staging.status().ToString();
      Put(staging->path() / "complete", "hours of it");
      status = staging->Commit();
    }
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
    if (unfinished == Staging::Unfinished::kNever) {
      EXPECT_TRUE(NamesIn(folder.path()).empty());
      continue;
    }
    EXPECT_NE(status.message().find("all of the result is in "), std::string::npos)
        << status.message();
    EXPECT_THAT(NamesIn(folder / "out.partial"), ElementsAre("complete"));
    EXPECT_EQ(Staging::Open(LocalFileSystem(), folder / "out", "key", unfinished).status().code(),
              StatusCode::kAlreadyExists);
  }
}

TEST(StagingTest, APlaceThatWillNotTakeTheNameIsRefusedBeforeAnyWork) {
  const TemporaryDirectory folder;
  const Status long_name =
      Staging::Open(LocalFileSystem(), folder / std::string(245, 'n'), "key").status();
  EXPECT_EQ(long_name.code(), StatusCode::kInvalidArgument) << long_name.ToString();
  EXPECT_TRUE(NamesIn(folder.path()).empty());
  FaultyFileSystem files(1);  // the folder is there; syncing it fails
  const Status unreadable = Staging::Open(files, folder / "out", "key").status();
  EXPECT_FALSE(unreadable.ok());
  EXPECT_NE(unreadable.message().find("could not get its name"), std::string::npos)
      << unreadable.message();
  EXPECT_TRUE(NamesIn(folder.path()).empty());
}

/// Opens at the same moment as others do, holds it for a moment, and counts.
void OpenAndHold(const Path& out, std::atomic<int>& holding, std::atomic<int>& wrong,
                 std::atomic<int>& busy) {
  for (int i = 0; i < 100; ++i) {
    const auto unfinished = i % 2 == 0 ? Staging::Unfinished::kNever : Staging::Unfinished::kKeep;
    auto staging = Staging::Open(LocalFileSystem(), out, "key", unfinished);
    if (!staging.ok()) {
      const StatusCode code = staging.status().code();
      const bool refused = code == StatusCode::kFailedPrecondition ||
                           code == StatusCode::kAlreadyExists;  // it has its name for a moment
      EXPECT_TRUE(refused) << staging.status().ToString();
      ++(refused ? busy : wrong);
      continue;
    }
    wrong += holding++ > 0 ? 1 : 0;
    Put(staging->path() / "own", "of mine");
    std::this_thread::yield();
    wrong += std::filesystem::exists(staging->path() / "own") ? 0 : 1;
    if (i % 3 == 0) {
      wrong += staging->Commit().ok() ? 0 : 1;
      std::filesystem::remove_all(out);
    }
    --holding;
  }
}

TEST(StagingTest, OfThreadsThatOpenAtTheSameMomentOneGetsIt) {
  const TemporaryDirectory folder;
  std::atomic<int> holding{0};
  std::atomic<int> wrong{0};
  std::atomic<int> busy{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { OpenAndHold(folder / "out", holding, wrong, busy); });
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(busy, 0);
  for (const std::string& name : NamesIn(folder.path())) {
    EXPECT_EQ(name, "out.partial");
  }
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
