// SPDX-License-Identifier: Apache-2.0
#include "worker/model/nfc.h"

#include <utf8proc.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace tyllm::model {

namespace {

struct FreeBuffer {
  void operator()(utf8proc_uint8_t* buffer) const {
    std::free(buffer);  // NOLINT: utf8proc allocates with malloc
  }
};

bool IsAscii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}

Status AppendNfc(std::string_view part, std::string& out) {
  utf8proc_uint8_t* buffer = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()),  // NOLINT
                   static_cast<utf8proc_ssize_t>(part.size()), &buffer,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, FreeBuffer> owner(buffer);
  if (length < 0) {
    return ResourceExhausted(std::string("text cannot be normalized: ") + utf8proc_errmsg(length));
  }
  out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(length));  // NOLINT
  return OkStatus();
}

}  // namespace

bool IsSurelyNfc(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0xCC) {  // the first byte of U+0300
      return false;
    }
  }
  return true;
}

Result<std::string> ToNfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  // An ASCII character never composes with what is before it. So only runs of other characters,
  // each with the one ASCII character before it, need work.
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = at;
    while (end < text.size() && IsAscii(text[end])) {
      ++end;
    }
    const std::size_t run = end == at || end == text.size() ? end : end - 1;
    out += text.substr(at, run - at);
    while (end < text.size() && !IsAscii(text[end])) {
      ++end;
    }
    const std::string_view part = text.substr(run, end - run);
    if (IsSurelyNfc(part)) {
      out += part;
    } else {
      TYLLM_TRY(AppendNfc(part, out));
    }
    at = end;
  }
  return out;
}

}  // namespace tyllm::model
