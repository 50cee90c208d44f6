// SPDX-License-Identifier: Apache-2.0
#include "server/core/capabilities.h"

#include <algorithm>

#include "server/core/list_jobs.h"
#include "server/core/wait_job.h"

namespace tyllm::server::core {

namespace {

std::optional<std::int64_t> Left(const std::optional<std::int64_t>& quota, std::int64_t used) {
  return quota ? std::optional(std::max<std::int64_t>(0, *quota - used)) : std::nullopt;
}

}  // namespace

boost::asio::awaitable<Result<domain::ServerCapabilities>> GetCapabilities(Farm& farm,
                                                                           std::string project) {
  if (project.empty()) {
    project = domain::kDefaultProject;
  }
  TYLLM_CO_TRY(domain::CheckProjectName(project));
  TYLLM_CO_ASSIGN(const store::ProjectRecord record,
                  co_await farm.parts.store.Look(
                      [&](store::Queue& queue) { return queue.GetProject(project); }));
  domain::ServerCapabilities capabilities;
  capabilities.server_version = farm.parts.version;
  capabilities.features = {"validate_only",
                           "wait",
                           "retry",
                           "update",
                           "delete",
                           "explain",
                           "etag",
                           "filters",
                           "task",
                           "request_id",
                           "submitted_by",
                           "start_within",
                           "refuse_if_no_worker",
                           "batch_blobs"};
  capabilities.digest_functions = {"sha256"};
  capabilities.max_spec_bytes = farm.parts.limits.largest_spec_bytes;
  capabilities.max_tree_bytes = static_cast<std::int64_t>(farm.parts.limits.largest_tree_bytes);
  capabilities.max_page_size = kLargestPage;
  capabilities.max_wait_ms = kLongestJobWait.count();
  capabilities.request_id_ms = farm.parts.limits.request_keep.count();
  capabilities.max_labels = static_cast<std::int32_t>(domain::kMostLabels);
  capabilities.queued_jobs_left = Left(record.project.max_queued_jobs, record.queued_jobs);
  capabilities.stored_bytes_left = Left(record.project.max_stored_bytes, record.stored_bytes);
  capabilities.unix_ms = farm.parts.clock.UnixMillis();
  co_return capabilities;
}

}  // namespace tyllm::server::core
