// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/torch_archive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "common/format/json.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::artifact {
namespace {

constexpr std::array<std::uint16_t, 6> kHalves{0x3C00, 0xC000, 0x3800, 0, 0x7BFF, 0x0001};
constexpr std::array<float, 3> kFloats{1.5F, -0.25F, 1e-20F};
constexpr std::array<std::int32_t, 2> kInts{-7, 2'000'000'000};

std::vector<TorchTensor> Tensors() {
  return {
      {"position_embeddings", TorchElement::kFloat16, {2, 3}, std::as_bytes(std::span(kHalves))},
      {"rotations", TorchElement::kFloat32, {3}, std::as_bytes(std::span(kFloats))},
      {"frame_ends", TorchElement::kInt32, {2, 1}, std::as_bytes(std::span(kInts))}};
}

std::string Archive() {
  auto text = WriteTorchArchive(Tensors());
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  return text.ok() ? *text : std::string();
}

Path WriteFile(const tyllm::testing::TemporaryDirectory& folder, const std::string& text) {
  const Path path = folder / "preset_kwargs.pt";
  EXPECT_TRUE(WriteFileAtomically(LocalFileSystem(), path, text).ok());
  return path;
}

/// What a command prints; empty when it fails.
std::string OutputOf(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    text += static_cast<char>(c);
  }
  return text;
}

TEST(TorchArchiveTest, PythonReadsWhatWasWritten) {
  if (OutputOf("python3 -c 'print(1)' 2>/dev/null") != "1\n") {
    GTEST_SKIP() << "there is no python3";
  }
  const tyllm::testing::TemporaryDirectory folder;
  const Path path = WriteFile(folder, Archive());
  const Path script = Path(tyllm::testing::kTestData) / "torch" / "read_archive.py";
  const auto json = format::ParseJson(
      OutputOf("python3 '" + script.string() + "' '" + path.string() + "'"), "the script's output");
  ASSERT_TRUE(json.ok()) << json.status().ToString();
  EXPECT_EQ((*json)["position_embeddings"][0], "float16");
  EXPECT_EQ((*json)["position_embeddings"][1], format::Json({2, 3}));
  EXPECT_EQ((*json)["position_embeddings"][2],
            format::Json({1.0, -2.0, 0.5, 0.0, 65504.0, 0x1p-24}));
  EXPECT_EQ((*json)["rotations"],
            format::Json({"float32", {3}, {1.5, -0.25, static_cast<double>(1e-20F)}}));
  EXPECT_EQ((*json)["frame_ends"], format::Json({"int32", {2, 1}, {-7, 2'000'000'000}}));
}

TEST(TorchArchiveTest, EqualTensorsGiveEqualBytes) {
  EXPECT_EQ(Archive(), Archive());
}

TEST(TorchArchiveTest, FindsTheDataAtMultiplesOf64) {
  const tyllm::testing::TemporaryDirectory folder;
  auto archive = TorchArchive::Open(WriteFile(folder, Archive()));
  ASSERT_TRUE(archive.ok()) << archive.status().ToString();
  const std::vector<TorchTensor> tensors = Tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto offset = archive->Data(i, tensors[i].bytes.size());
    ASSERT_TRUE(offset.ok()) << offset.status().ToString();
    EXPECT_EQ(*offset % 64, 0U);
    const auto found = archive->bytes().subspan(*offset, tensors[i].bytes.size());
    EXPECT_TRUE(std::equal(found.begin(), found.end(), tensors[i].bytes.begin()));
  }
  EXPECT_EQ(archive->Data(3, 8).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(archive->Data(0, 8).status().code(), StatusCode::kDataLoss);
}

TEST(TorchArchiveTest, EveryCutIsFound) {
  const std::string whole = Archive();
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    const std::string_view part = std::string_view(whole).substr(0, size);
    EXPECT_EQ(ParseStoredZip(std::as_bytes(std::span(part)), "f").status().code(),
              StatusCode::kDataLoss)
        << size;
  }
}

TEST(TorchArchiveTest, AChangedByteOfATensorIsFound) {
  const tyllm::testing::TemporaryDirectory folder;
  auto archive = TorchArchive::Open(WriteFile(folder, Archive()));
  ASSERT_TRUE(archive.ok());
  std::string whole = Archive();
  const std::uint64_t offset = *archive->Data(1, sizeof(kFloats));
  whole[offset] = static_cast<char>(whole[offset] ^ 1);
  const auto status = ParseStoredZip(std::as_bytes(std::span(whole)), "f").status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("archive/data/1"), std::string::npos) << status.message();
}

TEST(TorchArchiveTest, ShapesThatDoNotMatchTheBytesAreRefused) {
  std::vector<TorchTensor> tensors = Tensors();
  tensors[1].shape = {4};
  EXPECT_EQ(WriteTorchArchive(tensors).status().code(), StatusCode::kInternal);
}

}  // namespace
}  // namespace tyllm::artifact
