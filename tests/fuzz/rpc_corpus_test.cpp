// SPDX-License-Identifier: Apache-2.0
// What the fuzzer of the server's calls begins with, one call sequence after the other: kept in
// every build, so that the fuzzer compiles when somebody wants it.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/paths.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tyllm::fuzz {
namespace {

TEST(RpcCorpus, EverySequenceOfCallsLeavesASoundQueue) {
  int sequences = 0;
  const std::string folder = std::string(testing::kSourceFolder) + "/tests/fuzz/corpus/rpc_fuzzer";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    ASSERT_FALSE(bytes.empty()) << entry.path();
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()),  // NOLINT
                                     bytes.size()),
              0)
        << entry.path();
    ++sequences;
  }
  EXPECT_GE(sequences, 5) << folder;
}

}  // namespace
}  // namespace tyllm::fuzz
