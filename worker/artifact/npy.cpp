// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/npy.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/format/float16.h"

namespace tyllm::artifact {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);
constexpr std::size_t kPrefix = kMagic.size() + 2;

Status Damaged(const Path& path, const std::string& why) {
  return DataLoss(path.string() + " is not an embedding table: " + why +
                  "; write it again with `tyllm compile --embedding-as-input`");
}

/// Takes `expected` off the front of `text`.
bool Skip(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) {
    return false;
  }
  text.remove_prefix(expected.size());
  return true;
}

std::optional<std::int64_t> TakeNumber(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value <= 0 || value > (std::int64_t{1} << 31)) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string Description(std::int64_t rows, std::int64_t columns) {
  return "{'descr': '<f2', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
         std::to_string(columns) + "), }";
}

}  // namespace

std::string NpyHeader(std::int64_t rows, std::int64_t columns) {
  std::string text = Description(rows, columns);
  text.append((64 - (kPrefix + text.size() + 1) % 64) % 64, ' ');
  text += '\n';
  std::string header(kMagic);
  header += static_cast<char>(text.size() & 0xFFU);
  header += static_cast<char>(text.size() >> 8U);
  return header + text;
}

Result<NpyTable> NpyTable::Open(const Path& path) {
  TYLLM_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  NpyTable table(std::move(mapped));
  const std::span<const std::byte> bytes = table.file_.bytes();
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!all.starts_with(kMagic) || all.size() < kPrefix) {
    return Damaged(path, "it does not start as NumPy arrays of version 1.0 do");
  }
  const std::size_t length =
      static_cast<std::uint8_t>(all[8]) + 256U * static_cast<std::uint8_t>(all[9]);
  if (length > all.size() - kPrefix) {
    return Damaged(path, "its header is cut off");
  }
  std::string_view text = all.substr(kPrefix, length);
  const bool known = Skip(text, "{'descr': '<f2', 'fortran_order': False, 'shape': (");
  const std::optional<std::int64_t> rows = known ? TakeNumber(text) : std::nullopt;
  const std::optional<std::int64_t> columns =
      rows && Skip(text, ", ") ? TakeNumber(text) : std::nullopt;
  if (!columns || !Skip(text, ")")) {
    return Damaged(path, "its header is not that of a binary16 array of two dimensions");
  }
  table.rows_ = *rows;
  table.columns_ = *columns;
  table.data_ = kPrefix + length;
  const std::uint64_t expected =
      static_cast<std::uint64_t>(*rows) * static_cast<std::uint64_t>(*columns) * 2;
  if (all.size() - table.data_ != expected) {
    return Damaged(path, "it holds " + std::to_string(all.size() - table.data_) +
                             " bytes of data, expected " + std::to_string(expected));
  }
  return table;
}

void NpyTable::Read(std::int64_t r, std::span<float> out) const {
  const std::byte* const row = file_.bytes().data() + data_ + r * columns_ * 2;
  for (std::size_t c = 0; c < out.size(); ++c) {
    std::uint16_t half;
    std::memcpy(&half, row + 2 * c, sizeof(half));
    out[c] = format::HalfToFloat(half);
  }
}

}  // namespace tyllm::artifact
