// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/manifest.h"

#include <gtest/gtest.h>

#include "common/base/digest.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::artifact {
namespace {

using tyllm::testing::TemporaryDirectory;

TEST(DigestOfFiles, IsTheSameWithAnyNumberOfThreadsAndTellsAllBytes) {
  const TemporaryDirectory folder;
  std::vector<Path> files;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < 9; ++i) {
    files.emplace_back("file" + std::to_string(i));
    const std::string content((i + 1) * 300'000, static_cast<char>('a' + i));
    bytes += content.size();
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / files.back(), content).ok());
  }
  std::string list;
  for (const Path& file : files) {
    const FileEntry entry = *DescribeFile(folder.path(), file);
    list += entry.path + '\0' + std::to_string(entry.bytes) + '\0' + entry.sha256 + '\n';
  }
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    std::uint64_t told = 0;  // by a thread at a time
    const auto digest =
        DigestOfFiles(folder.path(), files, pool, [&](std::uint64_t read) { told += read; });
    ASSERT_TRUE(digest.ok());
    EXPECT_EQ(*digest, DigestOf(list).Hex()) << threads;
    EXPECT_EQ(told, bytes);
  }
}

TEST(DigestOfFiles, NamesTheFileThatIsMissing) {
  const TemporaryDirectory folder;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "here", "x").ok());
  ThreadPool pool(2);
  const std::vector<Path> files{"here", "gone"};
  const Status status = DigestOfFiles(folder.path(), files, pool).status();
  EXPECT_NE(status.message().find("gone"), std::string::npos) << status.ToString();
}

}  // namespace
}  // namespace tyllm::artifact
