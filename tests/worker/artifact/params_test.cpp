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

/// Writes the first tensors, leaves the file in the middle of the next one, and says what is whole.
WrittenPart WriteSome(const Path& path, std::size_t tensors) {
  auto writer = *ParamsWriter::Create(LocalFileSystem(), path, Specs());
  for (std::size_t i = 0; i < tensors; ++i) {
    EXPECT_TRUE(writer.Append(i, Pattern(Specs()[i])).ok());
  }
  const std::optional<WrittenPart> part = writer.part();
  EXPECT_TRUE(part && part->tensors == tensors);
  const std::vector<std::byte> other(8, std::byte{0xEE});
  EXPECT_TRUE(writer.Append(tensors, other).ok());
  EXPECT_FALSE(writer.part());
  return part.value_or(WrittenPart{});
}

TEST(ParamsTest, WhatAnEarlierWriterLeftIsGoneOnWith) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteAll(LocalFileSystem(), folder / "whole").ok());
  for (std::size_t tensors = 1; tensors < Specs().size(); ++tensors) {
    const Path path = folder / std::to_string(tensors);
    const WrittenPart part = WriteSome(path, tensors);
    auto writer = ParamsWriter::Resume(LocalFileSystem(), path, Specs(), part);
    ASSERT_TRUE(writer.ok()) << writer.status().ToString();
    EXPECT_EQ(writer->part(), part);
    for (std::size_t i = tensors; i < Specs().size(); ++i) {
      ASSERT_TRUE(writer->Append(i, Pattern(Specs()[i])).ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
    EXPECT_EQ(*LocalFileSystem().Read(path), *LocalFileSystem().Read(folder / "whole"));
    EXPECT_EQ(writer->sha256(), DigestOfFile(path)->sha256.Hex());
  }
}

TEST(ParamsTest, WhatIsNotAsItWasIsNotGoneOnWith) {
  const testing::TemporaryDirectory folder;
  const Path path = folder / "x";
  const auto resume = [&](const std::vector<ParamSpec>& specs, const WrittenPart& part) {
    return ParamsWriter::Resume(LocalFileSystem(), path, specs, part).status().code();
  };
  const WrittenPart part = WriteSome(path, 2);
  ASSERT_EQ(resume(Specs(), part), StatusCode::kOk);
  std::vector<ParamSpec> others = Specs();
  others[0].shape = {300};
  EXPECT_EQ(resume(others, part), StatusCode::kDataLoss);
  WrittenPart claim = part;
  claim.tensors = 3;
  EXPECT_EQ(resume(Specs(), claim), StatusCode::kDataLoss);
  claim.tensors = Specs().size() + 2;  // more than there are
  EXPECT_EQ(resume(Specs(), claim), StatusCode::kDataLoss);
  EXPECT_EQ(resume(Specs(), {}), StatusCode::kDataLoss);

  const std::string bytes = *LocalFileSystem().Read(path);
  std::string flipped = bytes;
  flipped[part.content.size - 1] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, flipped).ok());
  EXPECT_EQ(resume(Specs(), part), StatusCode::kDataLoss);
  const std::string cut = bytes.substr(0, part.content.size - 1);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, cut).ok());
  EXPECT_EQ(resume(Specs(), part), StatusCode::kDataLoss);
  const std::string longer = bytes + std::string(LayOut(Specs()).file_bytes, ' ');
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, longer).ok());
  EXPECT_EQ(resume(Specs(), part), StatusCode::kDataLoss);
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
