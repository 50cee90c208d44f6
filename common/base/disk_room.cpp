// SPDX-License-Identifier: Apache-2.0
#include "common/base/disk_room.h"

#include <filesystem>
#include <string>

namespace tyllm {
namespace {

Path NearestFolder(const Path& out) {
  std::error_code error;
  Path folder = std::filesystem::absolute(out).lexically_normal().parent_path();
  while (!std::filesystem::exists(folder, error) && folder != folder.parent_path()) {
    folder = folder.parent_path();
  }
  return folder;
}

}  // namespace

Status CheckDiskRoom(FileSystem& files, const Path& out, std::uint64_t needed,
                     std::string_view what) {
  constexpr std::uint64_t kMegabyte = 1'000'000;
  const Path folder = NearestFolder(out);
  const auto free = files.FreeBytes(folder);
  if (free.ok() && *free < needed) {
    return ResourceExhausted(folder.string() + " has " + std::to_string(*free / kMegabyte) +
                             " MB free, " + std::string(what) + " needs " +
                             std::to_string(needed / kMegabyte) + " MB more; make room");
  }
  return OkStatus();
}

}  // namespace tyllm
