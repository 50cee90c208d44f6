// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/npy.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm::artifact {
namespace {

std::string TableOf2By3() {
  // 1, 2, 3, -1, 0.5, 0 in binary16.
  const std::uint16_t values[] = {0x3C00, 0x4000, 0x4200, 0xBC00, 0x3800, 0};
  return NpyHeader(2, 3) + std::string(reinterpret_cast<const char*>(values), sizeof(values));
}

TEST(NpyTest, HeaderIsWhatNumPyWrites) {
  const std::string header = NpyHeader(2, 3);
  EXPECT_EQ(header.size() % 64, 0U);
  EXPECT_EQ(header.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(header.substr(10, 59), "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }");
  EXPECT_EQ(header.back(), '\n');
}

TEST(NpyTest, RowsAreReadAsFloats) {
  const testing::TemporaryDirectory folder;
  const Path path = folder / "embedding.npy";
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, TableOf2By3()).ok());
  const Result<NpyTable> table = NpyTable::Open(path);
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  std::vector<float> row(3);
  table->Read(1, row);
  EXPECT_EQ(row, (std::vector<float>{-1, 0.5, 0}));
}

TEST(NpyTest, DamageIsRefused) {
  const testing::TemporaryDirectory folder;
  const Path path = folder / "embedding.npy";
  const std::string whole = TableOf2By3();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, whole.substr(0, length)).ok());
    EXPECT_FALSE(NpyTable::Open(path).ok()) << length;
  }
}

}  // namespace
}  // namespace tyllm::artifact
