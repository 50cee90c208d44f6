// SPDX-License-Identifier: Apache-2.0
#include "common/format/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "common/format/float16.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::format {
namespace {

using ::testing::HasSubstr;

/// A file with this header and so many bytes of data, whatever the header says.
std::string FileBytes(std::string_view header, std::size_t data, std::uint64_t claimed) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &claimed, 8);
  return bytes + std::string(header) + std::string(data, '\1');
}

std::string FileBytes(std::string_view header, std::size_t data = 0) {
  return FileBytes(header, data, header.size());
}

Result<SafetensorsHeader> Read(const std::string& bytes) {
  return ReadSafetensorsHeader(std::as_bytes(std::span(bytes)));
}

struct BadFile {
  std::string_view name;
  std::string bytes;
  StatusCode code;
  std::string_view message;  ///< a part of it
};

void PrintTo(const BadFile& bad, std::ostream* out) {
  *out << bad.name;
}

class BadSafetensors : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensors, IsRefusedWithAMessageThatSaysWhat) {
  const auto header = Read(GetParam().bytes);
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.status().code(), GetParam().code) << header.status().ToString();
  EXPECT_THAT(header.status().message(), HasSubstr(std::string(GetParam().message)));
}

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
constexpr StatusCode kLost = StatusCode::kDataLoss;

const BadFile kBadFiles[] = {
    {"Empty", "", kLost, "0 bytes"},
    {"OnlyPartOfTheLength", "\1\0\0", kLost, "too few"},
    {"LengthBeyondTheFile", FileBytes("{}", 0, 3), kLost, "claims 3 bytes, but only 2 follow"},
    {"LengthOverTheFormatsLimit", FileBytes("{}", 0, 100'000'001), kInvalid, "100000000"},
    {"LengthThatWouldOverflow", FileBytes("{}", 0, ~std::uint64_t{0}), kInvalid, "claims"},
    {"NoHeader", FileBytes("", 4), kInvalid, "'{'"},
    {"NotJson", FileBytes("{\"a\":"), kInvalid, "not valid JSON"},
    {"NotAnObject", FileBytes("[1, 2]"), kInvalid, "'{'"},
    {"NotUtf8", FileBytes("{\"\xff\xfe\": 1}"), kInvalid, "not valid JSON"},
    {"SameNameTwice",
     FileBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
               R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
               1),
     kInvalid, "'a' twice"},
    {"SameKeyTwiceInATensor",
     FileBytes(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1),
     kInvalid, "'dtype' twice"},
    {"EntryIsNoObject", FileBytes(R"({"a":3})"), kInvalid, "tensor 'a'"},
    {"UnknownType", FileBytes(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1),
     kInvalid, "tensor 'a': dtype is 'F4', expected one of: F32"},
    {"NoType", FileBytes(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), kInvalid, "'dtype'"},
    {"NoShape", FileBytes(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), kInvalid, "'shape'"},
    {"NegativeDimension", FileBytes(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1),
     kInvalid, "dimension of 'shape'"},
    {"FractionalDimension",
     FileBytes(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", 1), kInvalid,
     "dimension of 'shape'"},
    {"DimensionBeyondSigned",
     FileBytes(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", 1),
     kInvalid, "too large"},
    {"ProductOverflows",
     FileBytes(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,1]}})",
               1),
     kInvalid, "overflows"},
    {"ProductOverflowsBeforeAZero",
     FileBytes(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})"),
     kInvalid, "overflows"},
    {"TooManyDimensions",
     FileBytes(
         R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})",
         1),
     kInvalid, "17 dimensions"},
    {"NoOffsets", FileBytes(R"({"a":{"dtype":"U8","shape":[1]}})", 1), kInvalid, "'data_offsets'"},
    {"ThreeOffsets", FileBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1),
     kInvalid, "'data_offsets'"},
    {"OffsetsAreText", FileBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":["0","1"]}})", 1),
     kInvalid, "'data_offsets'"},
    {"EndBeforeBegin", FileBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1),
     kInvalid, "end before they begin"},
    {"RangeBeyondTheFile", FileBytes(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 8),
     kLost, "tensor 'a': data_offsets [0, 9) reach beyond the file"},
    {"HugeRange",
     FileBytes(
         R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}})",
         8),
     kLost, "reach beyond"},
    {"SizeIsNotWhatTheShapeSays",
     FileBytes(R"({"a":{"dtype":"F16","shape":[2, 3],"data_offsets":[0,8]}})", 8), kInvalid,
     "are 8 bytes, but F16 [2, 3] needs 12"},
    {"Overlap",
     FileBytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
               R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
               6),
     kInvalid, "tensor 'b': data_offsets [2, 6) overlap those of 'a'"},
    {"HoleBetween",
     FileBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
               R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
               6),
     kInvalid, "leave a hole after 'a'"},
    {"HoleAtTheFront", FileBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4),
     kInvalid, "leave a hole after the header"},
    {"DataAfterTheLast", FileBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 4),
     kInvalid, "end at byte 2 of the data, but the file has 4"},
    {"MetadataIsNoObject", FileBytes(R"({"__metadata__":[]})"), kInvalid, "__metadata__"},
    {"MetadataIsNoText", FileBytes(R"({"__metadata__":{"format":1}})"), kInvalid, "'format'"},
    {"DeepNestingThatEnds",
     FileBytes("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"), kInvalid,
     "not a JSON object of tensors"},
    {"DeepNestingOfObjects",
     FileBytes(R"({"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{"j":{}}}}}}}}}}})"), kInvalid,
     "not a JSON object of tensors"},
    {"DeepNesting", FileBytes("{\"a\":" + std::string(100'000, '[')), kInvalid,
     "not a JSON object of tensors"},
};

INSTANTIATE_TEST_SUITE_P(Format, BadSafetensors, ::testing::ValuesIn(kBadFiles),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Safetensors, HeaderOfGoodBytesIsReadInAnyOrder) {
  const std::string bytes = FileBytes(
      R"({"b":{"dtype":"F16","shape":[2,1],"data_offsets":[3,7]},"__metadata__":{"k":"v"},)"
      R"("none":{"dtype":"F32","shape":[0, 7],"data_offsets":[3,3]},)"
      R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}   )",
      7);
  const auto header = Read(bytes);
  ASSERT_TRUE(header.ok()) << header.status().ToString();
  EXPECT_EQ(header->metadata.at("k"), "v");
  EXPECT_EQ(header->tensors.size(), 3U);
  const TensorView& b = header->tensors.at("b");
  EXPECT_EQ(b.dtype, DType::kF16);
  EXPECT_EQ(b.shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(b.elements(), 2);
  EXPECT_EQ(reinterpret_cast<const char*>(b.bytes.data()), bytes.data() + bytes.size() - 4);
  EXPECT_EQ(header->tensors.at("none").elements(), 0);
}

TEST(Safetensors, MayHaveManyTensors) {
  // In time that grows with the square this would take hours.
  constexpr int kTensors = 200'000;
  std::string header = "{";
  for (int i = 0; i < kTensors; ++i) {
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  const auto file = Read(FileBytes(header + "}"));
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(file->tensors.size(), static_cast<std::size_t>(kTensors));
}

TEST(Safetensors, AScalarHasOneElement) {
  const auto header =
      Read(FileBytes(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4));
  ASSERT_TRUE(header.ok()) << header.status().ToString();
  EXPECT_EQ(header->tensors.at("s").elements(), 1);
}

TEST(Safetensors, EveryTruncationOfAGoodFileIsRefused) {
  const std::string good = FileBytes(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3);
  ASSERT_TRUE(Read(good).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Read(good.substr(0, size)).ok()) << size;
  }
}

TEST(Safetensors, AMissingFileIsNamed) {
  const auto file = SafetensorsFile::Open("/nowhere/model.safetensors");
  EXPECT_EQ(file.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(file.status().message(), HasSubstr("/nowhere/model.safetensors"));
}

TEST(ToFloats, ConvertsEveryFloatTypeAtAnyAlignment) {
  const std::vector<float> values = {
      0.0F,    -0.0F, 1.0F, -2.5F, 0.333251953125F, 65504.0F, 6.1e-5F, 5.9604644775390625e-8F,
      1024.0F, 3.0F,  -7.0F};
  for (const std::size_t offset : {0U, 1U, 3U}) {
    std::vector<std::byte> bytes(offset + 4 * values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint16_t half = FloatToHalf(values[i]);
      std::memcpy(bytes.data() + offset + 2 * i, &half, 2);
    }
    TensorView view{DType::kF16,
                    {static_cast<std::int64_t>(values.size())},
                    std::span(bytes).subspan(offset, 2 * values.size())};
    const auto floats = ToFloats("t", view);
    ASSERT_TRUE(floats.ok());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ((*floats)[i], HalfToFloat(FloatToHalf(values[i]))) << i;
    }
    std::memcpy(bytes.data() + offset, values.data(), 4 * values.size());
    view = {DType::kF32, view.shape, std::span(bytes).subspan(offset)};
    EXPECT_EQ(*ToFloats("t", view), values);
  }
}

TEST(ToFloats, RefusesIntegersNamingTheTensor) {
  const TensorView view{DType::kI32, {0}, {}};
  const auto floats = ToFloats("layer.qweight", view);
  EXPECT_THAT(floats.status().message(),
              HasSubstr("'layer.qweight' is I32, expected F16, BF16 or F32"));
}

class Writer : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  Path path_ = folder_ / "x.safetensors";
  std::vector<TensorSpec> specs_ = {{"b", DType::kU8, {3}}, {"a", DType::kF32, {1, 2}}};
  std::vector<std::byte> b_ = std::vector<std::byte>(3, std::byte{7});
  std::vector<float> a_ = {1.5F, -2.0F};
};

TEST_F(Writer, WhatItWritesReadsBackWhateverTheOrderOfWriting) {
  auto writer = SafetensorsWriter::Create(LocalFileSystem(), path_, specs_);
  ASSERT_TRUE(writer.ok()) << writer.status().ToString();
  ASSERT_TRUE(writer->Write("a", std::as_bytes(std::span(a_))).ok());
  ASSERT_TRUE(writer->Write("b", b_).ok());
  ASSERT_TRUE(writer->Finish().ok());
  const auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(*ToFloats("a", file->tensors().at("a")), a_);
  EXPECT_EQ(std::to_integer<int>(file->tensors().at("b").bytes[2]), 7);
}

TEST_F(Writer, TakesPiecesInAnyOrderAndMissesWhatDidNotCome) {
  auto writer = SafetensorsWriter::Create(LocalFileSystem(), path_, specs_);
  ASSERT_TRUE(writer.ok()) << writer.status().ToString();
  const auto a = std::as_bytes(std::span(a_));
  ASSERT_TRUE(writer->WritePart("a", 4, a.subspan(4)).ok());
  ASSERT_TRUE(writer->Write("b", b_).ok());
  EXPECT_THAT(writer->Finish().message(), HasSubstr("'a' was announced but not written"));
  EXPECT_THAT(writer->WritePart("a", 5, a.subspan(4)).message(), HasSubstr("beyond"));
  ASSERT_TRUE(writer->WritePart("a", 0, a.first(4)).ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(*ToFloats("a", SafetensorsFile::Open(path_)->tensors().at("a")), a_);
}

TEST_F(Writer, DataBeginAtAMultipleOfEight) {
  for (const char* const name : {"n", "nn", "nnn", "nnnn", "nnnnn", "nnnnnn", "nnnnnnn"}) {
    auto writer = SafetensorsWriter::Create(LocalFileSystem(), path_, {{name, DType::kU8, {0}}});
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->Write(name, {}).ok());
    ASSERT_TRUE(writer->Finish().ok());
    EXPECT_EQ(std::filesystem::file_size(path_) % 8, 0U) << name;
    EXPECT_TRUE(SafetensorsFile::Open(path_).ok()) << name;
  }
}

TEST_F(Writer, AMistakeIsAnErrorThatNamesTheTensor) {
  auto writer = SafetensorsWriter::Create(LocalFileSystem(), path_, specs_);
  ASSERT_TRUE(writer.ok());
  EXPECT_THAT(writer->Write("c", b_).message(), HasSubstr("'c'"));
  EXPECT_THAT(writer->Write("a", b_).message(), HasSubstr("'a' has 3 bytes, its spec says 8"));
  ASSERT_TRUE(writer->Write("b", b_).ok());
  EXPECT_THAT(writer->Finish().message(), HasSubstr("'a' was announced but not written"));
  specs_.push_back(specs_.front());
  EXPECT_THAT(SafetensorsWriter::Create(LocalFileSystem(), path_, specs_).status().message(),
              HasSubstr("'b' would be written twice"));
}

TEST_F(Writer, AFullDiskAtAnyPointIsReported) {
  const auto write = [&](FileSystem& files) -> Status {
    TYLLM_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::Create(files, path_, specs_));
    TYLLM_TRY(writer.Write("a", std::as_bytes(std::span(a_))));
    TYLLM_TRY(writer.Write("b", b_));
    return writer.Finish();
  };
  testing::FaultyFileSystem healthy(1000);
  ASSERT_TRUE(write(healthy).ok());
  for (int k = 0; k < healthy.changes(); ++k) {
    testing::FaultyFileSystem files(k);
    EXPECT_EQ(write(files).code(), StatusCode::kResourceExhausted) << k;
  }
}

}  // namespace
}  // namespace tyllm::format
