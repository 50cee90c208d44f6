// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <optional>

#include "worker/artifact/params.h"
#include "worker/artifact/params_format.h"

namespace tyllm::artifact {
namespace {

/// Reads from the front of some bytes; every read says whether there was enough.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  template <typename T>
  Result<T> Take(std::string_view name) {
    TYLLM_ASSIGN(const auto part, TakeBytes(sizeof(T), name));
    T value;
    std::memcpy(&value, part.data(), sizeof(T));
    return value;
  }

  Result<std::span<const std::byte>> TakeBytes(std::uint64_t size, std::string_view name) {
    if (size > left()) {
      return Damaged(std::string(name) + " needs " + std::to_string(size) + " bytes at " +
                     std::to_string(position_) + ", the file has " + std::to_string(left()) +
                     " more");
    }
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(size));
    position_ += static_cast<std::size_t>(size);
    return part;
  }

  Status Expect(std::uint64_t expected, std::string_view name) {
    TYLLM_ASSIGN(const auto found, Take<std::uint64_t>(name));
    return found == expected ? OkStatus()
                             : Damaged(std::string(name) + " is " + std::to_string(found) +
                                       ", expected " + std::to_string(expected));
  }

  Status Damaged(const std::string& why) const {
    return DataLoss(what_ + " is not a parameter dictionary of TVM: " + why +
                    "; write it again with `tyllm compile`");
  }

  std::uint64_t left() const { return bytes_.size() - position_; }

  std::uint64_t position() const { return position_; }

 private:
  std::span<const std::byte> bytes_;
  std::string what_;
  std::size_t position_ = 0;
};

std::optional<Element> ElementOf(DlType type, std::uint16_t lanes) {
  for (std::size_t i = 0; i < kDlTypes.size(); ++i) {
    if (kDlTypes[i].code == type.code && kDlTypes[i].bits == type.bits && lanes == 1) {
      return static_cast<Element>(i);
    }
  }
  return std::nullopt;
}

Result<std::vector<std::string>> TakeNames(Cursor& cursor) {
  TYLLM_ASSIGN(const auto count, cursor.Take<std::uint64_t>("the number of names"));
  if (count > cursor.left() / 8) {
    return cursor.Damaged("it claims " + std::to_string(count) + " names");
  }
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < count; ++i) {
    TYLLM_ASSIGN(const auto length, cursor.Take<std::uint64_t>("the length of a name"));
    TYLLM_ASSIGN(const auto bytes, cursor.TakeBytes(length, "a name"));
    names.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return names;
}

/// Dimensions, and the bytes that they say; never overflows.
Status TakeShape(Cursor& cursor, const std::string& name, std::int32_t dimensions, Param& param,
                 std::uint64_t& bytes) {
  if (dimensions < 0 || dimensions > kMaxDimensions) {
    return cursor.Damaged("tensor " + name + " has " + std::to_string(dimensions) +
                          " dimensions, expected at most " + std::to_string(kMaxDimensions));
  }
  bytes = SizeOf(param.element);
  for (std::int32_t i = 0; i < dimensions; ++i) {
    TYLLM_ASSIGN(const auto size, cursor.Take<std::int64_t>("a dimension of tensor " + name));
    const bool fits =
        size >= 0 && !__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes);
    if (!fits) {
      return cursor.Damaged("tensor " + name + " has dimension " + std::to_string(size));
    }
    param.shape.push_back(size);
  }
  return OkStatus();
}

Result<Param> TakeTensor(Cursor& cursor, const std::string& name) {
  TYLLM_TRY(cursor.Expect(kTensorMagic, "the mark of tensor " + name));
  TYLLM_TRY(cursor.Expect(0, "the reserved number of tensor " + name));
  TYLLM_ASSIGN(const auto device, cursor.Take<std::int32_t>("the device"));
  TYLLM_ASSIGN(const auto device_id, cursor.Take<std::int32_t>("the device number"));
  if (device != kCpuDevice || device_id != 0) {
    return cursor.Damaged("tensor " + name + " is not on the CPU");
  }
  TYLLM_ASSIGN(const auto dimensions, cursor.Take<std::int32_t>("the number of dimensions"));
  TYLLM_ASSIGN(const auto code, cursor.Take<std::uint8_t>("the type code"));
  TYLLM_ASSIGN(const auto bits, cursor.Take<std::uint8_t>("the type bits"));
  TYLLM_ASSIGN(const auto lanes, cursor.Take<std::uint16_t>("the type lanes"));
  const std::optional<Element> element = ElementOf({code, bits}, lanes);
  if (!element) {
    return cursor.Damaged("tensor " + name + " has an unknown element type (code " +
                          std::to_string(code) + ", " + std::to_string(bits) + " bits, " +
                          std::to_string(lanes) + " lanes)");
  }
  Param param;
  param.element = *element;
  std::uint64_t expected = 0;
  TYLLM_TRY(TakeShape(cursor, name, dimensions, param, expected));
  TYLLM_TRY(cursor.Expect(expected, "the size of tensor " + name));
  param.offset = cursor.position();
  TYLLM_ASSIGN(param.bytes, cursor.TakeBytes(expected, "the data of tensor " + name));
  return param;
}

}  // namespace

Result<std::map<std::string, Param, std::less<>>> ParseParams(std::span<const std::byte> bytes,
                                                              std::string_view what) {
  Cursor cursor(bytes, what);
  TYLLM_TRY(cursor.Expect(kDictionaryMagic, "the mark at its start"));
  TYLLM_TRY(cursor.Expect(0, "the reserved number after it"));
  TYLLM_ASSIGN(const std::vector<std::string> names, TakeNames(cursor));
  TYLLM_TRY(cursor.Expect(names.size(), "the number of tensors"));
  std::map<std::string, Param, std::less<>> params;
  for (const std::string& name : names) {
    TYLLM_ASSIGN(Param param, TakeTensor(cursor, name));
    if (!params.emplace(name, std::move(param)).second) {
      return cursor.Damaged("two tensors are called " + name);
    }
  }
  if (cursor.left() != 0) {
    return cursor.Damaged(std::to_string(cursor.left()) + " bytes follow the last tensor");
  }
  return params;
}

Result<ParamsFile> ParamsFile::Open(const Path& path) {
  TYLLM_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  ParamsFile file(std::move(mapped));
  TYLLM_ASSIGN(file.params_, ParseParams(file.bytes(), path.string()));
  file.Forget(file.bytes());  // what stands before each tensor has brought pages around it
  return file;
}

Result<Param> ParamsFile::Find(std::string_view name) const {
  const auto found = params_.find(name);
  if (found == params_.end()) {
    return NotFound(path().string() + " has no tensor '" + std::string(name) +
                    "'; write it again with `tyllm compile`");
  }
  return found->second;
}

}  // namespace tyllm::artifact
