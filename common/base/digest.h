// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/base/file_system.h"

namespace tyllm {

/// SHA-256 of some bytes.
struct Sha256 {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Sha256&) const = default;
  /// 64 lower-case hexadecimal digits.
  std::string Hex() const;
  static Result<Sha256> FromHex(std::string_view hex);
};

/// Digest and size together name a blob: "<64 hex digits>/<size>".
struct BlobId {
  Sha256 sha256;
  std::uint64_t size = 0;
  auto operator<=>(const BlobId&) const = default;
  std::string ToString() const;
  static Result<BlobId> Parse(std::string_view text);
};

/// Digest of bytes that come in pieces. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  ~Sha256Stream();
  void Update(std::span<const std::byte> bytes);

  void Update(std::string_view text) { Update(std::as_bytes(std::span(text))); }

  /// Call once, last.
  Sha256 Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256 DigestOf(std::span<const std::byte> bytes);
Sha256 DigestOf(std::string_view text);
/// Digest and size of a file, read in pieces, of whose bytes `read` is told. kCancelled within a
/// moment of a stop request.
Result<BlobId> DigestOfFile(const Path& path, const std::stop_token& stop = {},
                            const std::function<void(std::uint64_t)>& read = {});
/// Adds all bytes of a file, and gives their number.
Result<std::uint64_t> AddFile(const Path& path, Sha256Stream& digest,
                              const std::stop_token& stop = {},
                              const std::function<void(std::uint64_t)>& read = {});

}  // namespace tyllm
