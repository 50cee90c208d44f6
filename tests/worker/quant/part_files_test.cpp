// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/part_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace tyllm::quant {
namespace {

using ::testing::HasSubstr;

/// Two parts, as one file (a large limit) and as two.
class Parts : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  PartFiles Open() {
    return *PartFiles::Open(LocalFileSystem(), folder_.path(),
                            {{"first", {{"a", format::DType::kF16, {2}}}},
                             {"second", {{"b", format::DType::kI32, {2}}}}},
                            GetParam());
  }

  static Status Write(PartFiles& parts, std::size_t part, const std::string& tensor,
                      std::string_view bytes) {
    TYLLM_TRY(parts.Begin(part));
    TYLLM_TRY(parts.Write(tensor, std::as_bytes(std::span(bytes))));
    return parts.End({.codes = {{tensor, "code"}}, .linears = {{.name = tensor, .error = 0.1}}});
  }

  void WriteBoth() {
    PartFiles parts = Open();
    ASSERT_TRUE(Write(parts, 0, "a", "abcd").ok());
    ASSERT_TRUE(Write(parts, 1, "b", "12345678").ok());
    ASSERT_TRUE(parts.Assemble().ok());
  }

  Path FileOfB() const {
    return folder_ / (GetParam() == 0 ? "model-00002-of-00002.safetensors" : "model.safetensors");
  }

  testing::TemporaryDirectory folder_;
  tensor::TaskLanes lanes_{2};
};

TEST_P(Parts, ThatAreDoneAreFoundAgainWithWhatIsKnownOfThem) {
  PartFiles parts = Open();
  ASSERT_TRUE(Write(parts, 0, "a", "abcd").ok());
  const PartFiles again = Open();
  ASSERT_NE(again.Find(0), nullptr);
  EXPECT_EQ(again.Find(0)->codes.at("a"), "code");
  EXPECT_EQ(again.Find(0)->linears, parts.Find(0)->linears);
  EXPECT_EQ(again.Find(1), nullptr);
}

TEST_P(Parts, MakeAModelThatReadsBack) {
  WriteBoth();
  const PartFiles parts = Open();
  EXPECT_TRUE(parts.Verify(lanes_).ok()) << parts.Verify(lanes_).ToString();
  EXPECT_EQ(parts.total_bytes(), 12U);
  std::filesystem::remove_all(folder_ / PartFiles::kRecords);
  EXPECT_TRUE(format::SafetensorsFile::Open(FileOfB()).ok());
  EXPECT_EQ(std::filesystem::exists(folder_ / "model.safetensors.index.json"), GetParam() == 0);
}

TEST_P(Parts, BehindOneThatIsMissingAreForgotten) {
  PartFiles parts = Open();
  ASSERT_TRUE(Write(parts, 1, "b", "12345678").ok());
  EXPECT_EQ(parts.ForgetBehindGap(1, 2), 1U);
  EXPECT_NE(parts.Find(1), nullptr);
  EXPECT_EQ(parts.ForgetBehindGap(0, 2), 0U);
  EXPECT_EQ(parts.Find(1), nullptr);
  ASSERT_TRUE(Write(parts, 0, "a", "abcd").ok());
  ASSERT_TRUE(Write(parts, 1, "b", "12345678").ok());
  EXPECT_TRUE(parts.Assemble().ok());
}

TEST_P(Parts, OfWhichOneIsMissingMakeNoModel) {
  PartFiles parts = Open();
  ASSERT_TRUE(Write(parts, 0, "a", "abcd").ok());
  EXPECT_THAT(parts.Assemble().message(), HasSubstr("second"));
}

TEST_P(Parts, WithABitThatFlippedOnTheDiskAreRefusedNamingTheTensor) {
  PartFiles parts = Open();
  ASSERT_TRUE(Write(parts, 0, "a", "abcd").ok());
  ASSERT_TRUE(Write(parts, 1, "b", "12345678").ok());
  ASSERT_TRUE(parts.Assemble().ok());
  std::fstream file(FileOfB(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('9');
  file.close();
  const Status found = parts.Verify(lanes_);
  EXPECT_EQ(found.code(), StatusCode::kDataLoss);
  EXPECT_THAT(found.message(), HasSubstr("'b'"));
}

INSTANTIATE_TEST_SUITE_P(AsOneFileAndEach, Parts,
                         ::testing::Values(std::uint64_t{1000}, std::uint64_t{0}),
                         [](const auto& test) { return test.param == 0 ? "Each" : "OneFile"; });

}  // namespace
}  // namespace tyllm::quant
