// SPDX-License-Identifier: Apache-2.0
#include "common/base/file_system.h"

#include <gtest/gtest.h>

#include "common/base/mapped_file.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm {
namespace {

namespace fs = std::filesystem;
using testing::FaultyFileSystem;
using testing::TemporaryDirectory;

TEST(LocalFileSystem, AppendsAfterTheFurthestWrite) {
  const TemporaryDirectory directory;
  const auto file = *LocalFileSystem().Create(directory / "f");
  ASSERT_TRUE(file->Append("abcdef").ok());
  ASSERT_TRUE(file->WriteAt(1, std::as_bytes(std::span("XY", 2))).ok());
  ASSERT_TRUE(file->Append("g").ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(*LocalFileSystem().Read(directory / "f"), "aXYdefg");
}

TEST(LocalFileSystem, MissingFileIsNotFoundAndNamed) {
  const Status status = LocalFileSystem().Read("/nowhere/at/all").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(status.message().find("/nowhere/at/all"), std::string::npos);
}

TEST(WriteFileAtomically, ShowsTheOldOrTheNewContentAtEveryFault) {
  for (int healthy = 0;; ++healthy) {
    const TemporaryDirectory directory;
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), directory / "f", "old").ok());
    FaultyFileSystem faulty(healthy);
    const Status status = WriteFileAtomically(faulty, directory / "f", "new");
    const std::string content = *LocalFileSystem().Read(directory / "f");
    if (status.ok()) {
      EXPECT_EQ(content, "new");
      EXPECT_GE(healthy, 5);
      return;
    }
    EXPECT_TRUE(content == "old" || content == "new");
    EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
  }
}

TEST(StagedDirectory, IsInvisibleUntilCommitAndGoneWhenDropped) {
  const TemporaryDirectory directory;
  {
    auto staged = *StagedDirectory::Create(LocalFileSystem(), directory / "out");
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), staged.path() / "f", "x").ok());
    EXPECT_FALSE(fs::exists(directory / "out"));
  }
  EXPECT_TRUE(fs::is_empty(directory.path()));
  auto staged = *StagedDirectory::Create(LocalFileSystem(), directory / "out/");
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), staged.path() / "f", "x").ok());
  ASSERT_TRUE(staged.Commit().ok());
  EXPECT_EQ(*LocalFileSystem().Read(directory / "out" / "f"), "x");
}

TEST(StagedDirectory, RefusesAFolderThatHoldsSomething) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(fs::create_directories(directory / "out" / "old"));
  const Status status = StagedDirectory::Create(LocalFileSystem(), directory / "out").status();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
}

TEST(MappedFile, HoldsTheBytesAndSurvivesForgetting) {
  const TemporaryDirectory directory;
  const std::string content(100'000, 'q');
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), directory / "f", content).ok());
  const MappedFile file = *MappedFile::Open(directory / "f");
  file.Forget(file.bytes());
  EXPECT_EQ(file.bytes().size(), content.size());
  EXPECT_EQ(static_cast<char>(file.bytes()[99'999]), 'q');
  EXPECT_EQ(MappedFile::Open(directory.path()).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tyllm
