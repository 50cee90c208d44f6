// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/partial_tree.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm::agent {
namespace {

namespace fs = std::filesystem;

class PartialTreeTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    fs::create_directories((work_ / path).parent_path());
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), work_ / path, text).ok());
  }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto tree = tree_.Take();
    EXPECT_TRUE(tree.ok()) << tree.status().ToString();
    if (tree.ok() && *tree) {
      for (const format::TreeEntry& entry : (*tree)->entries) {
        names.push_back(entry.path);
      }
    }
    return names;
  }

  testing::TemporaryDirectory folder_;
  Path work_ = folder_ / "output.partial";
  PartialTree tree_{work_, folder_ / "snapshot"};
};

TEST_F(PartialTreeTest, OnlyWhatIsCompleteIsTaken) {
  Put("layers/001.safetensors", "one");
  Put(".request", "key");
  Put("layers/002.safetensors.tmp", "tw");
  Put("config.json.tmp.1234", "{");
  Put("config.tmp.json", "{}");
  Put(".build/include/kernels.h", "scratch");
  EXPECT_EQ(Names(),
            (std::vector<std::string>{".request", "config.tmp.json", "layers/001.safetensors"}));
}

TEST_F(PartialTreeTest, NothingOrNothingNewGivesNothing) {
  EXPECT_TRUE(Names().empty());
  Put("a", "1");
  EXPECT_EQ(Names().size(), 1U);
  EXPECT_TRUE(Names().empty());
  Put("b", "2");
  EXPECT_EQ(Names().size(), 2U);
  tree_.Forget();
  EXPECT_EQ(Names().size(), 2U) << "the upload failed";
}

TEST_F(PartialTreeTest, NothingIsTakenOfAFolderWhoseKeyHasLeft) {
  Put("config.json", "{}");
  fs::create_directories(work_);
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), folder_ / "output.partial.request", "key").ok());
  EXPECT_TRUE(Names().empty());
  fs::remove(folder_ / "output.partial.request");
  EXPECT_EQ(Names().size(), 1U);
}

TEST_F(PartialTreeTest, TheSnapshotStaysWhatItWasWhileTheJobGoesOn) {
  Put("state", "first");
  const auto tree = tree_.Take();
  Put("state", "second");
  fs::remove_all(work_);
  EXPECT_EQ(*LocalFileSystem().Read(tree_.snapshot() / "state"), "first");
  EXPECT_EQ((**tree).entries[0].blob.sha256, DigestOf(std::string_view("first")));
}

TEST_F(PartialTreeTest, AReplacedFileIsReadAnewAndAnUntouchedOneIsNot) {
  Put("old", "x");
  Put("state", "first");
  ASSERT_EQ(Names().size(), 2U);
  // Bytes that are changed in place with the old time are not seen: the digest is remembered.
  const auto time = fs::last_write_time(work_ / "old");
  {
    auto file = LocalFileSystem().OpenForUpdate(work_ / "old");
    ASSERT_TRUE((*file)->WriteAt(0, std::as_bytes(std::span("y", 1))).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  fs::last_write_time(work_ / "old", time);
  Put("state", "2econ");
  const auto tree = tree_.Take();
  ASSERT_TRUE(tree.ok() && *tree);
  EXPECT_EQ((**tree).Find("old")->blob.sha256, DigestOf(std::string_view("x")));
  EXPECT_EQ((**tree).Find("state")->blob.sha256, DigestOf(std::string_view("2econ")));
}

}  // namespace
}  // namespace tyllm::agent
