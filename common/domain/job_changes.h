// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/domain/ids.h"
#include "common/domain/views.h"

// What people ask of a job that is there.
namespace tyllm::domain {

/// Which job, and under what condition.
struct JobChange {
  JobId job;
  std::string request_id;  ///< empty: a repetition is not noticed
  std::string etag;        ///< empty: whatever the job is like by now
  std::string by = {};     ///< who asks, as the connection tells; in no message
};

struct RetryRequest {
  JobChange change;       ///< the request_id is required: it makes a job
  bool no_cache = false;  ///< of what is left, run everything
};

struct UpdateRequest {
  JobChange change;
  std::optional<std::int32_t> priority;
  bool replaces_labels = false;  ///< those that `labels` does not have go
  /// By key; no value: the label goes.
  std::map<std::string, std::optional<std::string>> labels;
};

struct WaitRequest {
  JobId job;
  std::int64_t timeout_ms = 0;
  std::int64_t after_event = 0;  ///< 0: only the end counts
};

/// What a change with an etag is compared with: changes with everything but progress.
std::string EtagOf(const JobView& job);

/// The labels that the job has after the request.
std::map<std::string, std::string> LabelsAfter(const UpdateRequest& request,
                                               std::map<std::string, std::string> labels);

}  // namespace tyllm::domain
