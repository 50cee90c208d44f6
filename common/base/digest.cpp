// SPDX-License-Identifier: Apache-2.0
#include "common/base/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "common/base/handle.h"
#include "common/base/running_digest.h"

namespace tyllm {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

struct EvpTraits {
  using Type = EVP_MD_CTX*;
  static constexpr EVP_MD_CTX* kNone = nullptr;

  static void Close(EVP_MD_CTX* context) { EVP_MD_CTX_free(context); }
};

/// Looked for once: OpenSSL takes longer for that than for a short text. Constant after that.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  TYLLM_CHECK(algorithm != nullptr);
  return algorithm;
}

}  // namespace

std::string Sha256::Hex() const {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

Result<Sha256> Sha256::FromHex(std::string_view hex) {
  Sha256 digest;
  const auto bad = [&] {
    return InvalidArgument("'" + std::string(hex.substr(0, 80)) +
                           "' is not a SHA-256 digest, expected 64 lower-case hexadecimal digits");
  };
  if (hex.size() != 64) {
    return bad();
  }
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    const std::size_t high = kDigits.find(hex[2 * i]);
    const std::size_t low = kDigits.find(hex[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return bad();
    }
    digest.bytes[i] = static_cast<std::uint8_t>(high << 4U | low);
  }
  return digest;
}

std::string BlobId::ToString() const {
  return sha256.Hex() + "/" + std::to_string(size);
}

Result<BlobId> BlobId::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return InvalidArgument("'" + std::string(text.substr(0, 100)) +
                           "' is not a blob id, expected <sha256>/<size>");
  }
  BlobId id;
  TYLLM_ASSIGN(id.sha256, Sha256::FromHex(text.substr(0, slash)));
  const std::string_view size = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), id.size);
  if (error != std::errc() || end != size.data() + size.size() || size.empty()) {
    return InvalidArgument("size '" + std::string(size) + "' of a blob id is not a number");
  }
  return id;
}

struct Sha256Stream::Context {
  UniqueHandle<EvpTraits> evp{EVP_MD_CTX_new()};
};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
  TYLLM_CHECK(EVP_DigestInit_ex(context_->evp.get(), Algorithm(), nullptr) == 1);
}

Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(std::span<const std::byte> bytes) {
  TYLLM_CHECK(EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Stream::Finish() {
  Sha256 digest;
  TYLLM_CHECK(EVP_DigestFinal_ex(context_->evp.get(), digest.bytes.data(), nullptr) == 1);
  return digest;
}

struct RunningSha256::Context {
  UniqueHandle<EvpTraits> evp{EVP_MD_CTX_new()};
};

RunningSha256::RunningSha256() : context_(std::make_unique<Context>()) {
  TYLLM_CHECK(EVP_DigestInit_ex(context_->evp.get(), Algorithm(), nullptr) == 1);
}

RunningSha256::RunningSha256(RunningSha256&&) noexcept = default;
RunningSha256& RunningSha256::operator=(RunningSha256&&) noexcept = default;
RunningSha256::~RunningSha256() = default;

void RunningSha256::Update(std::span<const std::byte> bytes) {
  TYLLM_CHECK(EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) == 1);
}

Sha256 RunningSha256::SoFar() const {
  const UniqueHandle<EvpTraits> copy{EVP_MD_CTX_new()};
  TYLLM_CHECK(EVP_MD_CTX_copy_ex(copy.get(), context_->evp.get()) == 1);
  Sha256 digest;
  TYLLM_CHECK(EVP_DigestFinal_ex(copy.get(), digest.bytes.data(), nullptr) == 1);
  return digest;
}

Sha256 DigestOf(std::span<const std::byte> bytes) {
  Sha256Stream stream;
  stream.Update(bytes);
  return stream.Finish();
}

Sha256 DigestOf(std::string_view text) {
  return DigestOf(std::as_bytes(std::span(text)));
}

Result<std::uint64_t> AddFile(const Path& path, Sha256Stream& digest, const std::stop_token& stop,
                              const std::function<void(std::uint64_t)>& read) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return FromErrno(errno, "opening " + path.string());
  }
  std::uint64_t size = 0;
  std::vector<std::byte> buffer(1 << 20);
  while (!stop.stop_requested()) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got == 0) {
      return size;
    }
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return FromErrno(errno, "reading " + path.string());
    }
    digest.Update(std::span(buffer).first(static_cast<std::size_t>(got)));
    size += static_cast<std::uint64_t>(got);
    if (read) {
      read(static_cast<std::uint64_t>(got));
    }
  }
  return Cancelled("stopped while " + path.string() + " was digested");
}

Result<BlobId> DigestOfFile(const Path& path, const std::stop_token& stop,
                            const std::function<void(std::uint64_t)>& read) {
  Sha256Stream stream;
  TYLLM_ASSIGN(const std::uint64_t size, AddFile(path, stream, stop, read));
  return BlobId{stream.Finish(), size};
}

}  // namespace tyllm
