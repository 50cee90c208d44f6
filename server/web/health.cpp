// SPDX-License-Identifier: Apache-2.0
#include "server/web/health.h"

namespace tyllm::server::web {

Status HealthOf(const core::Farm& farm, FileSystem& files, const Path& data) {
  TYLLM_TRY(farm.parts.store.health().Annotate("queue"));
  TYLLM_ASSIGN(const std::uint64_t free, files.FreeBytes(data));
  if (free < kLeastFreeBytes) {
    return ResourceExhausted("the disk of " + data.string() + " has " + std::to_string(free >> 20) +
                             " MiB free, at least " + std::to_string(kLeastFreeBytes >> 20) +
                             " MiB are needed; make room");
  }
  return OkStatus();
}

}  // namespace tyllm::server::web
