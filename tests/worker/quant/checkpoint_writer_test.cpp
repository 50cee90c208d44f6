// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace tyllm::quant {
namespace {

using ::testing::HasSubstr;

class CheckpointWriting : public ::testing::Test {
 protected:
  CheckpointWriter Writer(std::uint64_t limit) {
    return {LocalFileSystem(), folder_.path(),
            PlanShards({{"a", format::DType::kF16, {2}}, {"b", format::DType::kI32, {2}}}, limit)};
  }

  Status Write(CheckpointWriter& writer, std::string_view name, std::string_view bytes) {
    return writer.Write(name, std::as_bytes(std::span(bytes)));
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(CheckpointWriting, InAnyOrderMakesFilesThatReadBack) {
  for (const std::uint64_t limit : {1000U, 4U}) {
    CheckpointWriter writer = Writer(limit);
    ASSERT_TRUE(Write(writer, "b", "12345678").ok());
    ASSERT_TRUE(Write(writer, "a", "abcd").ok());
    ASSERT_TRUE(writer.Finish().ok());
    EXPECT_TRUE(writer.Verify().ok()) << writer.Verify().ToString();
    EXPECT_EQ(writer.total_bytes(), 12U);
  }
  const auto single = format::SafetensorsFile::Open(folder_ / "model.safetensors");
  ASSERT_TRUE(single.ok());
  EXPECT_EQ(single->metadata().at("format"), "pt");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "model.safetensors.index.json"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "model-00002-of-00002.safetensors"));
}

TEST_F(CheckpointWriting, WithoutATensorCannotBeFinished) {
  CheckpointWriter writer = Writer(1000);
  ASSERT_TRUE(Write(writer, "a", "abcd").ok());
  EXPECT_THAT(writer.Finish().message(), HasSubstr("'b'"));
}

TEST_F(CheckpointWriting, RefusesATensorTwiceAndOneThatWasNotAnnounced) {
  CheckpointWriter writer = Writer(1000);
  ASSERT_TRUE(Write(writer, "a", "abcd").ok());
  EXPECT_THAT(Write(writer, "a", "abcd").message(), HasSubstr("twice"));
  EXPECT_THAT(Write(writer, "c", "abcd").message(), HasSubstr("not announced"));
}

TEST_F(CheckpointWriting, FindsABitThatFlippedOnTheDisk) {
  CheckpointWriter writer = Writer(1000);
  ASSERT_TRUE(Write(writer, "a", "abcd").ok());
  ASSERT_TRUE(Write(writer, "b", "12345678").ok());
  ASSERT_TRUE(writer.Finish().ok());
  std::fstream file(folder_ / "model.safetensors", std::ios::in | std::ios::out);
  file.seekp(-1, std::ios::end);
  file.put('9');
  file.close();
  const Status found = writer.Verify();
  EXPECT_EQ(found.code(), StatusCode::kDataLoss);
  EXPECT_THAT(found.message(), HasSubstr("'b'"));
}

}  // namespace
}  // namespace tyllm::quant
