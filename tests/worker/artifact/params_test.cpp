// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/params.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::artifact {
namespace {

const std::vector<ParamSpec>& Specs() {
  static const std::vector<ParamSpec> specs = {
      {"model.norm.weight", Element::kFloat32, {30}},
      {"packed", Element::kUint8, {3, 1000}},
      {"half", Element::kFloat16, {7, 4}},
      {"bindings", Element::kUint64, {5}},
  };
  return specs;
}

std::vector<std::byte> Pattern(const ParamSpec& spec) {
  std::vector<std::byte> bytes(spec.bytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>((i * 7 + spec.name.size()) & 0xFF);
  }
  return bytes;
}

Status WriteAll(FileSystem& files, const Path& path) {
  TYLLM_ASSIGN(ParamsWriter writer, ParamsWriter::Create(files, path, Specs()));
  for (std::size_t i = 0; i < Specs().size(); ++i) {
    const std::vector<std::byte> bytes = Pattern(Specs()[i]);
    const std::span<const std::byte> all(bytes);
    TYLLM_TRY(writer.Append(i, all.first(8)));
    TYLLM_TRY(writer.Append(i, all.subspan(8)));
  }
  return writer.Finish();
}

TEST(ParamsTest, WhatIsWrittenIsReadBack) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteAll(LocalFileSystem(), folder / "x.params").ok());
  const Result<ParamsFile> file = ParamsFile::Open(folder / "x.params");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  const ParamsLayout layout = LayOut(Specs());
  EXPECT_EQ(layout.file_bytes, file->bytes().size());
  for (std::size_t i = 0; i < Specs().size(); ++i) {
    const Result<Param> param = file->Find(Specs()[i].name);
    ASSERT_TRUE(param.ok());
    EXPECT_EQ(param->element, Specs()[i].element);
    EXPECT_EQ(param->offset, layout.offsets[i]);
    EXPECT_EQ(param->offset % 64, 0U);
    const std::vector<std::byte> expected = Pattern(Specs()[i]);
    ASSERT_EQ(param->bytes.size(), expected.size());
    EXPECT_EQ(std::memcmp(param->bytes.data(), expected.data(), expected.size()), 0);
  }
  EXPECT_EQ(file->Find("absent").status().code(), StatusCode::kNotFound);
}

TEST(ParamsTest, BytesAreThoseOfTvm) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteAll(LocalFileSystem(), folder / "x.params").ok());
  const Result<std::string> text = LocalFileSystem().Read(folder / "x.params");
  ASSERT_TRUE(text.ok());
  const std::string start("\xB7\x9C\x04\x05\x4F\x8D\xE5\xF7\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0", 24);
  EXPECT_EQ(text->substr(0, 24), start);
  const std::size_t tensor = text->find(std::string("\x3F\xA1\xB4\x96\xF0\x40\x5E\xDD", 8));
  ASSERT_NE(tensor, std::string::npos);
  // Device CPU 0; the number of dimensions; float, 32 bits, 1 lane.
  EXPECT_EQ(text->substr(tensor + 16, 8), std::string("\1\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(text->substr(tensor + 28, 4), std::string("\2\x20\1\0", 4));
}

TEST(ParamsTest, TruncationAnywhereIsRefused) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteAll(LocalFileSystem(), folder / "x.params").ok());
  const Result<std::string> text = LocalFileSystem().Read(folder / "x.params");
  ASSERT_TRUE(text.ok());
  for (std::size_t length = 0; length < text->size(); ++length) {
    const auto bytes = std::as_bytes(std::span(*text)).first(length);
    ASSERT_EQ(ParseParams(bytes, "x.params").status().code(), StatusCode::kDataLoss) << length;
  }
  const std::string longer = *text + "x";
  EXPECT_FALSE(ParseParams(std::as_bytes(std::span(longer)), "x.params").ok());
}

TEST(ParamsTest, ChangedHeadersAreRefusedOrHarmless) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteAll(LocalFileSystem(), folder / "x.params").ok());
  Result<std::string> text = LocalFileSystem().Read(folder / "x.params");
  ASSERT_TRUE(text.ok());
  for (std::size_t i = 0; i < 600; ++i) {
    for (const int bit : {1, 0x80}) {
      std::string changed = *text;
      changed[i] = static_cast<char>(changed[i] ^ bit);
      const auto parsed = ParseParams(std::as_bytes(std::span(changed)), "x.params");
      if (parsed.ok()) {
        EXPECT_EQ(parsed->size(), Specs().size() + 1) << "byte " << i;
      }
    }
  }
}

TEST(ParamsTest, TensorsComeWholeAndInOrder) {
  const testing::TemporaryDirectory folder;
  Result<ParamsWriter> writer =
      ParamsWriter::Create(LocalFileSystem(), folder / "x.params", Specs());
  ASSERT_TRUE(writer.ok());
  const std::vector<std::byte> bytes(5000);
  EXPECT_FALSE(writer->Append(1, bytes).ok());
  EXPECT_FALSE(writer->Append(0, bytes).ok());
  EXPECT_FALSE(writer->Finish().ok());
}

TEST(ParamsTest, FullDiskIsReportedWhereverItHappens) {
  const testing::TemporaryDirectory folder;
  testing::FaultyFileSystem healthy(1 << 20);
  ASSERT_TRUE(WriteAll(healthy, folder / "x.params").ok());
  for (int k = 0; k < healthy.changes(); ++k) {
    testing::FaultyFileSystem faulty(k);
    EXPECT_EQ(WriteAll(faulty, folder / "y.params").code(), StatusCode::kResourceExhausted) << k;
  }
}

}  // namespace
}  // namespace tyllm::artifact
