// SPDX-License-Identifier: Apache-2.0
#include "common/format/tree.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace tyllm::format {
namespace {

void Write(const Path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

TreeEntry Entry(const std::string& path, const std::string& content, bool executable = false) {
  return {path, {DigestOf(content), content.size()}, executable};
}

TEST(TreeText, IsWhatTheFormatDocumentSays) {
  const Tree tree{{Entry("a.txt", "abc"), Entry("bin/run me", "", true)}};
  EXPECT_EQ(ToText(tree),
            "tyllm-tree-v1\n"
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 - a.txt\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 x bin/run me\n");
  EXPECT_EQ(tree.bytes(), 3U);
  const std::string text = ToText(tree);
  EXPECT_EQ(IdOf(tree), (BlobId{DigestOf(text), text.size()}));
  const auto parsed = ParseTree(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ(*parsed, tree);
}

TEST(TreeText, AnEmptyFolderIsOneLine) {
  EXPECT_EQ(ToText({}), "tyllm-tree-v1\n");
  EXPECT_TRUE(ParseTree("tyllm-tree-v1\n")->entries.empty());
}

TEST(TreeText, RefusesWhatItWouldNotHaveWritten) {
  const std::string d = DigestOf("x").Hex();
  const std::string first = "tyllm-tree-v1\n";

  struct Case {
    std::string text;
    std::string message;
  };

  const std::vector<Case> cases = {
      {"", "first line"},
      {"tyllm-tree-v2\n", "first line"},
      {first + d + " 1 - a", "cut off"},
      {first + d + " 1 - b\n" + d + " 1 - a\n", "line 3: 'a' comes after 'b'"},
      {first + d + " 1 - a\n" + d + " 1 - a\n", "sorted"},
      {first + d + " 1 - /a\n", "relative path"},
      {first + d + " 1 - a/../b\n", "relative path"},
      {first + d + " 1 - ./a\n", "relative path"},
      {first + d + " 1 - a//b\n", "relative path"},
      {first + d + " 1 - a/\n", "relative path"},
      {first + d + " 1 - a\tb\n", "control"},
      {first + d + " 1 - \n", "expected"},
      {first + d + " 01 - a\n", "size is '01'"},
      {first + d + " -1 - a\n", "size is '-1'"},
      {first + d + " 99999999999999999999 - a\n", "size"},
      {first + d + " 1 w a\n", "mode is 'w'"},
      {first + d + "  - a\n", "size is ''"},
      {first + std::string(64, 'G') + " 1 - a\n", "SHA-256"},
      {first + "abc 1 - a\n", "line 2"},
      {first + "\n", "line 2"},
      {first + d + " 1 - a\n" + d + " 1 - a-b\n" + d + " 1 - a/b\n", "is a file and a folder"},
      {first + d + " 18446744073709551615 - a\n" + d + " 1 - b\n", "add up"},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseTree(c.text);
    ASSERT_FALSE(parsed.ok()) << c.text;
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find(c.message), std::string::npos)
        << parsed.status().message();
  }
}

std::string LineOf(const std::string& path) {
  return DigestOf("x").Hex() + " 1 - " + path + "\n";
}

// "a/a/a/.../a"
std::string DeepPath(std::size_t bytes) {
  std::string path(bytes, 'a');
  for (std::size_t i = 1; i < bytes; i += 2) {
    path[i] = '/';
  }
  return path;
}

TEST(TreeText, RefusesPathsThatNoFileSystemTakes) {
  const std::string first = "tyllm-tree-v1\n";
  EXPECT_TRUE(ParseTree(first + LineOf(DeepPath(4095) + "a")).ok());
  const auto deep = ParseTree(first + LineOf(DeepPath(800'001)));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(deep.status().message().find("has 800001 bytes, expected at most 4096"),
            std::string::npos)
      << deep.status().message();
  EXPECT_LT(deep.status().message().size(), 300U);
  EXPECT_TRUE(ParseTree(first + LineOf("a/" + std::string(255, 'b'))).ok());
  const auto wide = ParseTree(first + LineOf("a/" + std::string(256, 'b') + "/c"));
  ASSERT_FALSE(wide.ok());
  EXPECT_NE(wide.status().message().find("of 256 bytes, expected at most 255"), std::string::npos)
      << wide.status().message();
}

TEST(TreeText, FindsAFileThatIsAFolderHoweverFarApartTheyStand) {
  const std::string before = "tyllm-tree-v1\n" + LineOf("a") + LineOf("a-b") + LineOf("a-b-c") +
                             LineOf("a-c") + LineOf("a.d/e");
  EXPECT_TRUE(ParseTree(before + LineOf("a0/b") + LineOf("b/a")).ok());
  EXPECT_FALSE(ParseTree(before + LineOf("a.d/e/f")).ok());
  const auto clash = ParseTree(before + LineOf("a/b/c"));
  ASSERT_FALSE(clash.ok());
  EXPECT_NE(clash.status().message().find("'a' is a file and a folder of 'a/b/c'"),
            std::string::npos)
      << clash.status().message();
}

TEST(ScanTree, FindsEveryFileSortedByPathAndFollowsLinksToFiles) {
  const testing::TemporaryDirectory folder;
  Write(folder / "model/b.txt", "b");
  Write(folder / "model/a/z", "zz");
  Write(folder / "model/a-b", "");
  Write(folder / "blob", "linked");
  std::filesystem::create_symlink(folder / "blob", folder / "model/link");
  std::filesystem::permissions(folder / "model/b.txt", std::filesystem::perms::owner_exec,
                               std::filesystem::perm_options::add);
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  const auto tree = ScanTree(folder / "model", [&](std::uint64_t d, std::uint64_t t) {
    done = d;
    total = t;
  });
  ASSERT_TRUE(tree.ok()) << tree.status().ToString();
  EXPECT_EQ(*tree, (Tree{{Entry("a-b", ""), Entry("a/z", "zz"), Entry("b.txt", "b", true),
                          Entry("link", "linked")}}));
  EXPECT_EQ(done, 9U);
  EXPECT_EQ(total, 9U);
  EXPECT_TRUE(ParseTree(ToText(*tree)).ok());
}

TEST(ScanTree, OfOneFileIsATreeOfThatFile) {
  const testing::TemporaryDirectory folder;
  Write(folder / "text.txt", "hello");
  const auto tree = ScanTree(folder / "text.txt");
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ(*tree, (Tree{{Entry("text.txt", "hello")}}));
}

TEST(ScanTree, RefusesWhatIsNoFileAndNamesIt) {
  const testing::TemporaryDirectory folder;
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  const auto dangling = ScanTree(folder.path());
  ASSERT_FALSE(dangling.ok());
  EXPECT_NE(dangling.status().message().find("dangling"), std::string::npos);
  std::filesystem::remove(folder / "dangling");
  std::filesystem::create_directory(folder / "sub");
  std::filesystem::create_symlink("sub", folder / "folder-link");
  EXPECT_FALSE(ScanTree(folder.path()).ok());
  EXPECT_EQ(ScanTree(folder / "absent").status().code(), StatusCode::kNotFound);
}

TEST(ScanFiles, OfANameThatIsTooLongIsAnErrorThatSaysSo) {
  const testing::TemporaryDirectory folder;
  const Status status = ScanFiles(folder.path(), {std::string(300, 'n')}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_EQ(ScanFiles(folder.path(), {"absent"}).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace tyllm::format
