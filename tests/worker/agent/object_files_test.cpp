// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/object_files.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/temporary_directory.h"

namespace tyllm::agent {
namespace {

namespace fs = std::filesystem;

class ObjectFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, int days_old, std::size_t bytes) {
    fs::create_directories((folder_ / name).parent_path());
    ASSERT_TRUE(
        WriteFileAtomically(LocalFileSystem(), folder_ / name, std::string(bytes, 'x')).ok());
    fs::last_write_time(folder_ / name,
                        fs::file_time_type::clock::now() - std::chrono::hours(24 * days_old + 1));
  }

  bool IsThere(const std::string& name) const { return fs::exists(folder_ / name); }

  testing::TemporaryDirectory folder_;
};

TEST_F(ObjectFilesTest, TheLongestUnusedGoFirstUpToTheLimit) {
  Write("aa/aa1.so", 3, 100);
  Write("aa/aa1.sha256", 3, 64);
  Write("bb/bb1.so", 9, 100);
  Write("bb/bb1.sha256", 1, 64);
  Write("bb/bb2.so", 1, 100);
  EXPECT_EQ(PruneObjects(folder_.path(), 300), 300);
  EXPECT_EQ(PruneObjects(folder_.path(), 299), 200);
  EXPECT_FALSE(IsThere("bb/bb1.so"));
  EXPECT_FALSE(IsThere("bb/bb1.sha256"));
  EXPECT_TRUE(IsThere("aa/aa1.sha256"));
  EXPECT_EQ(PruneObjects(folder_.path(), 0), 0);
  EXPECT_FALSE(IsThere("bb/bb2.so"));
}

TEST_F(ObjectFilesTest, WhatNobodyFinishedGoesWhenItIsForgotten) {
  Write("aa/aa1.so.tmp.77", 2, 100);
  Write("aa/aa2.so.tmp.78", 0, 100);
  EXPECT_EQ(PruneObjects(folder_.path(), 1000), 0);
  EXPECT_FALSE(IsThere("aa/aa1.so.tmp.77"));
  EXPECT_TRUE(IsThere("aa/aa2.so.tmp.78")) << "a job may be writing it";
}

TEST_F(ObjectFilesTest, AFolderThatIsNotThereHasNothing) {
  EXPECT_EQ(PruneObjects(folder_ / "nowhere", 0), 0);
}

}  // namespace
}  // namespace tyllm::agent
