// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/core/await.h"

namespace tyllm::server::core {

inline constexpr std::int64_t kGiB = 1LL << 30;

/// A farm whose workers have GPUs.
class GpuFarm : public FarmFixture {
 protected:
  SyncRequest Gpu(const std::string& worker, std::int64_t memory, int slots = 1) {
    SyncRequest request = From(worker);
    request.capabilities.device = "cuda";
    request.capabilities.gpus = 1;
    request.capabilities.gpu_memory_bytes = memory;
    request.capabilities.slots = slots;
    return request;
  }

  std::vector<domain::Assignment> Started(const SyncRequest& request) {
    const auto reply = Sync(request);
    EXPECT_TRUE(reply.ok()) << reply.status().ToString();
    return reply->start;
  }

  /// Reports and takes nothing new.
  void End(SyncRequest request, const AttemptId& id, domain::Outcome outcome) {
    request.held = {{.id = id, .progress = {.stage = "pack"}, .outcome = std::move(outcome)}};
    request.draining = true;
    EXPECT_EQ(Sync(request)->acknowledged, std::vector<TaskId>{id.task});
  }

  domain::Failure OutOfGpuMemory() {
    return {.blame = domain::Blame::kWorker,
            .reason = "GPU_OUT_OF_MEMORY",
            .message = "3 GiB more were needed",
            .retryable = true,
            .out_of_memory = domain::MemoryKind::kGpu};
  }
};

}  // namespace tyllm::server::core
