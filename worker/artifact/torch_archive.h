// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/mapped_file.h"

// Files that torch.load(..., weights_only=True) opens: a dictionary of tensors as a zip archive of
// stored members (docs/formats/torch_archive.md). Sources: torch/serialization.py and
// caffe2/serialize/inline_container.cc of PyTorch, APPNOTE.TXT of PKWARE, pickletools.py of Python.
namespace tyllm::artifact {

enum class TorchElement : std::uint8_t { kFloat16, kFloat32, kInt32 };

inline constexpr EnumTable<TorchElement, 3> kTorchElementNames(
    "element of a torch tensor", {{{TorchElement::kFloat16, "float16"},
                                   {TorchElement::kFloat32, "float32"},
                                   {TorchElement::kInt32, "int32"}}});

constexpr const auto& NamesOf(TorchElement) {
  return kTorchElementNames;
}

/// A tensor to be written, C order.
struct TorchTensor {
  std::string name;
  TorchElement element = TorchElement::kFloat32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Every tensor's data begins at a multiple of this many bytes of the file.
inline constexpr std::uint64_t kTorchAlignment = 64;

/// The whole file: a dictionary of the tensors, in this order. The same input gives the same bytes.
/// kInvalidArgument for a file of 4 GiB or more, kInternal where bytes do not match a shape.
Result<std::string> WriteTorchArchive(const std::vector<TorchTensor>& tensors);

/// Members of an archive, mapped. Open checks that every one is stored, lies in the file and has
/// the checksum that the directory tells: kDataLoss naming the file and what is wrong with it.
class TorchArchive {
 public:
  static Result<TorchArchive> Open(const Path& path);

  const Path& path() const { return file_.path(); }

  std::span<const std::byte> bytes() const { return file_.bytes(); }

  /// Data of tensor `number` of the dictionary; kDataLoss when there is none, or its size is not
  /// `bytes`. The offset is from the beginning of the file.
  Result<std::uint64_t> Data(std::size_t number, std::uint64_t bytes) const;

 private:
  explicit TorchArchive(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::map<std::string, std::span<const std::byte>, std::less<>> members_;
};

/// What Open reads; `what` names the bytes in messages. Spans point into `bytes`.
Result<std::map<std::string, std::span<const std::byte>, std::less<>>> ParseStoredZip(
    std::span<const std::byte> bytes, std::string_view what);

}  // namespace tyllm::artifact
