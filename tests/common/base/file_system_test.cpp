// SPDX-License-Identifier: Apache-2.0
#include "common/base/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

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

TEST(WriteFileAtomically, LeavesAFolderOfItsTemporaryNameAlone) {
  const TemporaryDirectory directory;
  const Path other = directory / ("f.tmp." + std::to_string(::getpid()));
  fs::create_directories(other / "mine");
  EXPECT_FALSE(WriteFileAtomically(LocalFileSystem(), directory / "f", "x").ok());
  EXPECT_TRUE(fs::exists(other / "mine"));
}

TEST(LocalFileSystem, DoesNotWaitForAWriterOfAPipe) {
  const TemporaryDirectory directory;
  const Path pipe = directory / "model.safetensors";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ::alarm(60);  // ends a test that waits for ever
  for (const Status& status :
       {MappedFile::Open(pipe).status(), LocalFileSystem().Read(pipe).status()}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find("model.safetensors"), std::string::npos) << status.message();
  }
  ::alarm(0);
}

TEST(LocalFileSystem, MakesANewFileOnlyWhereThereIsNothing) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), directory / "f", "old").ok());
  fs::create_symlink(directory / "nowhere", directory / "link");
  for (const char* name : {"f", "link"}) {
    EXPECT_EQ(LocalFileSystem().CreateNew(directory / name).status().code(),
              StatusCode::kAlreadyExists);
  }
  EXPECT_EQ(*LocalFileSystem().Read(directory / "f"), "old");
  EXPECT_TRUE(LocalFileSystem().CreateNew(directory / "new").ok());
}

}  // namespace
}  // namespace tyllm
