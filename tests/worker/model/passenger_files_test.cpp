// SPDX-License-Identifier: Apache-2.0
#include "worker/model/passenger_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm::model {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

void Touch(const Path& path) {
  fs::create_directories(path.parent_path());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, "x").ok());
}

TEST(PassengerFiles, AreFoundBehindLinksToFilesAndFolders) {
  const testing::TemporaryDirectory folder;
  const Path model = folder / "model";
  Touch(model / "config.json");
  Touch(model / "model.safetensors");
  Touch(model / ".cache" / "x.txt");
  Touch(model / "assets" / "a.txt");
  Touch(folder / "elsewhere" / "b.txt");
  Touch(folder / "elsewhere" / "inner" / "c.txt");
  Touch(folder / "other model" / "config.json");
  fs::create_directory_symlink(folder / "elsewhere", model / "linked");
  fs::create_directory_symlink(folder / "other model", model / "draft");
  fs::create_symlink(folder / "elsewhere" / "b.txt", model / "licence");
  fs::create_symlink(folder / "nowhere", model / "dangling");
  const auto found = FindPassengerFiles(model);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_THAT(*found, ElementsAre("assets/a.txt", "config.json", "licence", "linked/b.txt",
                                  "linked/inner/c.txt"));
}

TEST(PassengerFiles, ALinkToAFolderAboveIsNotFollowed) {
  const testing::TemporaryDirectory folder;
  Touch(folder / "sub" / "a.txt");
  fs::create_directory_symlink(folder.path(), folder / "sub" / "up");
  fs::create_directory_symlink(folder / "sub", folder / "sub" / "self");
  const auto found = FindPassengerFiles(folder.path());
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_THAT(*found, ElementsAre("sub/a.txt"));
}

}  // namespace
}  // namespace tyllm::model
