// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/disk_room.h"

#include <filesystem>
#include <string>

namespace tyllm::quant {

Status CheckDiskRoom(FileSystem& files, const Path& out, std::uint64_t needed) {
  const Path folder = std::filesystem::absolute(out).parent_path();
  const auto free = files.FreeBytes(folder);
  if (free.ok() && *free < needed) {
    return ResourceExhausted(folder.string() + " has " + std::to_string(*free / 1000000) +
                             " MB free, the quantized model needs " +
                             std::to_string(needed / 1000000) + " MB more; make room");
  }
  return OkStatus();
}

}  // namespace tyllm::quant
