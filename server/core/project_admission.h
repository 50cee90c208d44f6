// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>

#include "common/base/digest.h"
#include "server/store/queue.h"

namespace tyllm::server::core {

/// Trees that a job refers to -> bytes of their files.
using TreeSizes = std::map<BlobId, std::int64_t>;

/// Whether the quotas of the job's project allow it: kResourceExhausted when not. On the store's
/// thread, in the transaction that queues the job.
Status AdmitToProject(store::Queue& queue, const domain::JobSpec& spec, const TreeSizes& inputs);

/// Notes what the job makes its project store.
Status NoteTrees(store::Queue& queue, domain::JobId job, const TreeSizes& trees);

}  // namespace tyllm::server::core
