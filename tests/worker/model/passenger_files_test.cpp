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
  Touch(model / "real" / "b.txt");
  Touch(model / "real" / "inner" / "c.txt");
  Touch(model / "other model" / "config.json");
  fs::create_directory_symlink(model / "real", model / "linked");
  fs::create_directory_symlink(model / "other model", model / "draft");
  fs::create_symlink(model / "real" / "b.txt", model / "licence");
  fs::create_symlink(folder / "nowhere", model / "dangling");
  const auto found = FindPassengerFiles(model);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_THAT(*found, ElementsAre("assets/a.txt", "config.json", "licence", "linked/b.txt",
                                  "linked/inner/c.txt", "real/b.txt", "real/inner/c.txt"));
}

TEST(PassengerFiles, LinksOutOfTheModelAreNotOfIt) {
  const testing::TemporaryDirectory folder;
  const Path model = folder / "model";
  Touch(model / "config.json");
  Touch(model / ".secret" / "token");
  Touch(folder / "home" / "id_rsa");
  fs::create_symlink(folder / "home" / "id_rsa", model / "notes.txt");
  fs::create_directory_symlink(folder / "home", model / "assets");
  fs::create_symlink(model / ".secret" / "token", model / "readme.txt");
  const auto found = FindPassengerFiles(model);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_THAT(*found, ElementsAre("config.json"));
}

TEST(PassengerFiles, WhatEveryOutputNeedsIsNoLinkOutOfTheModel) {
  const testing::TemporaryDirectory folder;
  const Path model = folder / "model";
  Touch(model / "config.json");
  Touch(folder / "elsewhere");
  fs::create_symlink(folder / "elsewhere", model / "vocab.json");
  fs::create_symlink(folder / "elsewhere", model / "model.safetensors");
  EXPECT_THAT(FindLinksOut(model), ElementsAre("vocab.json"));
  EXPECT_TRUE(CheckLinks(model).ok());
  fs::create_symlink(folder / "elsewhere", model / "tokenizer.json");
  const Status status = CheckLinks(model);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("tokenizer.json is a link that leads out"), std::string::npos);
}

TEST(PassengerFiles, SnapshotsOfTheHubsCacheAreLinksToBlobs) {
  const testing::TemporaryDirectory folder;
  const Path hub = folder / ".cache" / "models--a--b";
  Touch(hub / "blobs" / "0123");
  Touch(folder / ".cache" / "models--c--d" / "blobs" / "4567");
  const Path model = hub / "snapshots" / "abc";
  fs::create_directories(model);
  fs::create_symlink("../../blobs/0123", model / "config.json");
  fs::create_symlink("../../../models--c--d/blobs/4567", model / "other.json");
  const auto found = FindPassengerFiles(model);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_THAT(*found, ElementsAre("config.json"));
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
