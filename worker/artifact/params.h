// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/enum_table.h"
#include "common/base/mapped_file.h"

// TVM's parameter dictionary (docs/formats/params.md; apache/tvm src/runtime/file_utils.cc), with
// every tensor's data at a multiple of 64 bytes of the file.
namespace tyllm::artifact {

enum class Element : std::uint8_t { kUint8, kUint64, kInt32, kFloat16, kFloat32 };

inline constexpr EnumTable<Element, 5> kElementNames("element", {{{Element::kUint8, "uint8"},
                                                                  {Element::kUint64, "uint64"},
                                                                  {Element::kInt32, "int32"},
                                                                  {Element::kFloat16, "float16"},
                                                                  {Element::kFloat32, "float32"}}});

constexpr const auto& NamesOf(Element) {
  return kElementNames;
}

std::uint64_t SizeOf(Element element);

/// A tensor to be written; its size in bytes must be a multiple of 8.
struct ParamSpec {
  std::string name;
  Element element = Element::kUint8;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes() const;
  bool operator==(const ParamSpec&) const = default;
};

inline constexpr std::uint64_t kParamAlignment = 64;

/// Where each tensor's data lies in the file that ParamsWriter makes of the same specs. Pure.
struct ParamsLayout {
  std::vector<std::uint64_t> offsets;  ///< [specs]
  std::uint64_t file_bytes = 0;
};

ParamsLayout LayOut(const std::vector<ParamSpec>& specs);

/// How far an unfinished dictionary came.
struct WrittenPart {
  std::uint64_t tensors = 0;  ///< the first ones, complete
  BlobId content;             ///< of the file up to the end of the last of them
  bool operator==(const WrittenPart&) const = default;
};

/// Writes a dictionary one tensor after another, so that nothing is held. Not thread-safe.
class ParamsWriter {
 public:
  static Result<ParamsWriter> Create(FileSystem& files, const Path& path,
                                     std::vector<ParamSpec> specs);
  /// Goes on with a file that an earlier writer of the same specs left, after the tensors of
  /// `part`, whose bytes are read and compared first. kDataLoss when they are others.
  static Result<ParamsWriter> Resume(FileSystem& files, const Path& path,
                                     std::vector<ParamSpec> specs, const WrittenPart& part);
  ParamsWriter(ParamsWriter&&) noexcept;
  ~ParamsWriter();

  /// The next bytes of tensor `index`. Tensors come in order, each wholly before the next.
  Status Append(std::size_t index, std::span<const std::byte> bytes);
  /// Written so far.
  std::uint64_t bytes() const;
  /// Where Resume can go on; nothing within a tensor.
  std::optional<WrittenPart> part() const;
  /// Syncs and closes; an error when a tensor is not complete.
  Status Finish();
  /// Of the whole file, after Finish.
  const std::string& sha256() const;

 private:
  struct State;
  explicit ParamsWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A tensor of an open file.
struct Param {
  Element element = Element::kUint8;
  std::vector<std::int64_t> shape;  ///< as in the file: leading ones align the data
  std::uint64_t offset = 0;         ///< of its data in the file
  std::span<const std::byte> bytes;
};

/// A dictionary, mapped. Open checks every length against the file, the element types, that sizes
/// are what shapes say, that names differ, and that nothing follows the last tensor: kDataLoss
/// naming the file and what is wrong with it. Offsets are multiples of 64 in files of ours.
class ParamsFile {
 public:
  static Result<ParamsFile> Open(const Path& path);

  const Path& path() const { return file_.path(); }

  /// The whole file, which offsets refer to.
  std::span<const std::byte> bytes() const { return file_.bytes(); }

  /// MappedFile::Forget.
  void Forget(std::span<const std::byte> part) const { file_.Forget(part); }

  const std::map<std::string, Param, std::less<>>& params() const { return params_; }

  /// kNotFound names the file and the tensor.
  Result<Param> Find(std::string_view name) const;

 private:
  explicit ParamsFile(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::map<std::string, Param, std::less<>> params_;
};

/// What Open reads; `what` names the bytes in messages. Spans point into `bytes`.
Result<std::map<std::string, Param, std::less<>>> ParseParams(std::span<const std::byte> bytes,
                                                              std::string_view what);

}  // namespace tyllm::artifact
