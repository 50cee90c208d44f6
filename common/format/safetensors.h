// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/mapped_file.h"
#include "common/format/json.h"

namespace tyllm::format {

/// Element types of safetensors files (https://github.com/huggingface/safetensors#format).
enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kBool
};

inline constexpr EnumTable<DType, 13> kDTypeNames("dtype", {{{DType::kF32, "F32"},
                                                             {DType::kF16, "F16"},
                                                             {DType::kBF16, "BF16"},
                                                             {DType::kF64, "F64"},
                                                             {DType::kI8, "I8"},
                                                             {DType::kU8, "U8"},
                                                             {DType::kI16, "I16"},
                                                             {DType::kU16, "U16"},
                                                             {DType::kI32, "I32"},
                                                             {DType::kU32, "U32"},
                                                             {DType::kI64, "I64"},
                                                             {DType::kU64, "U64"},
                                                             {DType::kBool, "BOOL"}}});

constexpr const auto& NamesOf(DType) {
  return kDTypeNames;
}

/// Bytes of one element.
std::uint64_t SizeOf(DType type);

/// "[2, 3]": for messages.
std::string ShapeText(std::span<const std::int64_t> shape);

/// A tensor inside a mapped file; `bytes` lives as long as the file object.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  /// Product of the shape; 1 for a scalar.
  std::int64_t elements() const;
};

/// What the header of a safetensors file says. The views point into the bytes it was read from.
struct SafetensorsHeader {
  std::map<std::string, TensorView, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
};

/// Checks the whole header against the bytes of the file: length, JSON, dtypes, no overflow, every
/// range inside the file, sizes as shape and dtype say, no overlap, no hole, no name twice
/// (docs/formats/safetensors.md). Errors name the tensor (kDataLoss for truncation,
/// kInvalidArgument for the rest).
Result<SafetensorsHeader> ReadSafetensorsHeader(std::span<const std::byte> file);

/// A safetensors file, mapped, its header checked by ReadSafetensorsHeader. Errors name the file.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> Open(const Path& path);

  const Path& path() const { return file_.path(); }

  /// In order of name.
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return header_.tensors; }

  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  /// See MappedFile::Forget.
  void Forget(const TensorView& tensor) const { file_.Forget(tensor.bytes); }

 private:
  SafetensorsFile(MappedFile file, SafetensorsHeader header)
      : file_(std::move(file)), header_(std::move(header)) {}

  MappedFile file_;
  SafetensorsHeader header_;
};

/// What a tensor to be written is; its bytes follow.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes() const;
};

/// Writes one safetensors file whose header (specs in the given order, `__metadata__`
/// {"format":"pt"}) is known before any data, so that data streams to the disk and nothing is held.
/// Data are written in any order by index. Finish fails when a tensor was not written.
class SafetensorsWriter {
 public:
  static Result<SafetensorsWriter> Create(FileSystem& files, const Path& path,
                                          std::vector<TensorSpec> specs);
  SafetensorsWriter(SafetensorsWriter&&) noexcept;
  ~SafetensorsWriter();

  /// `bytes` must be exactly as large as the spec says.
  Status Write(std::string_view name, std::span<const std::byte> bytes);
  /// A piece of a tensor from byte `offset` on; pieces come in any order, each once.
  Status WritePart(std::string_view name, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Syncs and closes.
  Status Finish();

 private:
  struct State;
  explicit SafetensorsWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The tensor as float32, whatever its float type (F32, F16, BF16); other types are an error naming
/// `name`.
Result<std::vector<float>> ToFloats(std::string_view name, const TensorView& tensor);

}  // namespace tyllm::format
