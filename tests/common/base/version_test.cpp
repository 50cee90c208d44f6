// SPDX-License-Identifier: Apache-2.0
#include "common/base/version.h"

#include <gtest/gtest.h>

#include <chrono>
#include <regex>

#include "common/base/child_process.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm {
namespace {

using testing::TemporaryDirectory;

/// A repository of a few files, and what the build says of it.
class SourceDigestTest : public ::testing::Test {
 protected:
  void Write(const Path& file, std::string_view text) const {
    FileSystem& files = LocalFileSystem();
    ASSERT_TRUE(files.CreateDirectories((root_ / file).parent_path()).ok());
    ASSERT_TRUE(WriteFileAtomically(files, root_ / file, text).ok());
  }

  std::string Digest() const {
    const Path unit = out_ / "version.cpp";
    const auto outcome =
        RunCommand({.argv = {"cmake", "-DVERSION=1.2.3", "-DROOT=" + root_.path().string(),
                             "-DOUT=" + unit.string(), "-P",
                             std::string(testing::kSourceFolder) + "/common/base/version.cmake"}},
                   std::chrono::minutes(1));
    EXPECT_TRUE(outcome.ok() && outcome->exit.ok()) << (outcome.ok() ? outcome->output : "");
    const auto text = LocalFileSystem().Read(unit);
    return text.ok() ? *text : text.status().ToString();
  }

  TemporaryDirectory root_;
  TemporaryDirectory out_;
};

TEST(VersionTest, NamesTheSources) {
  EXPECT_TRUE(
      std::regex_match(std::string(Version()), std::regex(R"(\d+\.\d+\.\d+\+[0-9a-f]{12})")))
      << Version();
}

TEST_F(SourceDigestTest, FollowsWhatDecidesResults) {
  Write("worker/quant/scale.cpp", "one");
  Write("common/format/tree.cpp", "two");
  const std::string first = Digest();
  EXPECT_TRUE(std::regex_search(first, std::regex("\"1\\.2\\.3\\+[0-9a-f]{12}\""))) << first;
  EXPECT_EQ(Digest(), first);
  Write("worker/quant/scale.cpp", "One");
  const std::string changed = Digest();
  EXPECT_NE(changed, first);
  Write("worker/quant/scale.cpp", "one");
  EXPECT_EQ(Digest(), first);
  Write("worker/quant/zero.cpp", "");
  EXPECT_NE(Digest(), first);
}

TEST_F(SourceDigestTest, DoesNotFollowWhatComputesNothing) {
  Write("worker/quant/scale.cpp", "one");
  const std::string first = Digest();
  Write("worker/agent/agent.cpp", "more");
  Write("server/core/farm.cpp", "more");
  Write("common/wire/blobs.cpp", "more");
  Write("docs/manual/gpu.md", "more");
  Write("worker/quant/.scale.cpp.swp", "an editor's");
  EXPECT_EQ(Digest(), first);
}

}  // namespace
}  // namespace tyllm
