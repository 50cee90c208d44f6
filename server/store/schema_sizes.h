// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 6 to 7: what attempts have used, and the GPUs that were too small for them.
namespace tyllm::server::store::schema {

inline constexpr const char* kSizes = R"sql(
ALTER TABLE attempts ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpu_memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN disk_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpu_too_small INTEGER NOT NULL DEFAULT 0;
CREATE INDEX attempts_gpu_too_small ON attempts(ended_ms) WHERE gpu_too_small > 0;
)sql";

}  // namespace tyllm::server::store::schema
