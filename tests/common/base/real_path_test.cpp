// SPDX-License-Identifier: Apache-2.0
#include "common/base/real_path.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm {
namespace {

namespace fs = std::filesystem;

TEST(RealPath, FollowsLinksAsFarAsThereIsSomething) {
  const testing::TemporaryDirectory made;
  const Path folder = fs::canonical(made.path());
  fs::create_directory(folder / "disk");
  fs::create_directory_symlink(folder / "disk", folder / "link");
  EXPECT_EQ(RealPath(folder / "link"), folder / "disk");
  EXPECT_EQ(RealPath(folder / "link" / "new" / ""), folder / "disk" / "new");
  EXPECT_EQ(RealPath(folder / "disk" / ".." / "other"), folder / "other");
  EXPECT_EQ(RealPath("."), fs::current_path());
  EXPECT_EQ(RealPath("/"), "/");
}

TEST(RealPath, TellsWhatLiesInAFolderByWhateverName) {
  const testing::TemporaryDirectory folder;
  fs::create_directory(folder / "model");
  fs::create_directory_symlink(folder / "model", folder / "alias");
  EXPECT_TRUE(LiesIn(folder / "model", folder / "model"));
  EXPECT_TRUE(LiesIn(folder / "alias" / "out", folder / "model"));
  EXPECT_TRUE(LiesIn(folder / "model" / "out", folder / "alias"));
  EXPECT_FALSE(LiesIn(folder / "model2", folder / "model"));
  EXPECT_FALSE(LiesIn(folder / "model" / ".." / "out", folder / "model"));
}

}  // namespace
}  // namespace tyllm
