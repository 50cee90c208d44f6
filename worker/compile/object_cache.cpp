// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/object_cache.h"

#include <filesystem>
#include <system_error>

#include "common/base/digest.h"

namespace tyllm::compile {

Path ObjectCache::PathOf(const std::string& key, const char* extension) const {
  return directory_ / key.substr(0, 2) / (key + extension);
}

std::optional<std::string> ObjectCache::Find(const std::string& key) const {
  if (directory_.empty()) {
    return std::nullopt;
  }
  Result<std::string> digest = files_.Read(PathOf(key, ".sha256"));
  Result<std::string> object = files_.Read(PathOf(key, ".so"));
  if (!digest.ok() || !object.ok() || DigestOf(*object).Hex() != *digest) {
    return std::nullopt;
  }
  std::error_code error;  // without the time it only goes earlier
  std::filesystem::last_write_time(PathOf(key, ".so"),
                                   std::filesystem::file_time_type::clock::now(), error);
  return *std::move(object);
}

std::optional<std::uint64_t> ObjectCache::SizeOf(const std::string& key) const {
  std::error_code error;
  if (directory_.empty() || !std::filesystem::exists(PathOf(key, ".sha256"), error)) {
    return std::nullopt;
  }
  const std::uintmax_t bytes = std::filesystem::file_size(PathOf(key, ".so"), error);
  return error ? std::nullopt : std::optional<std::uint64_t>(bytes);
}

void ObjectCache::Store(const std::string& key, const std::string& object) const {
  if (directory_.empty()) {
    return;
  }
  const Path path = PathOf(key, ".so");
  if (!files_.CreateDirectories(path.parent_path()).ok() ||
      !WriteFileAtomically(files_, path, object).ok()) {
    return;
  }
  (void)WriteFileAtomically(files_, PathOf(key, ".sha256"), DigestOf(object).Hex());
}

}  // namespace tyllm::compile
