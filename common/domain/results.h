// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/domain/ids.h"

namespace tyllm::domain {

/// Results that are kept for other jobs: those to which all applies that is given. Something must
/// be.
struct ResultSelection {
  std::optional<JobId> job;  ///< that its tasks made or took
  std::optional<TaskId> task;
  std::string worker;                    ///< whose attempt made them
  std::string toolchain_version;         ///< of that worker, then
  std::int64_t made_from_unix_ms = 0;    ///< 0: from the beginning
  std::int64_t made_before_unix_ms = 0;  ///< 0: to the end
  /// Also those of which it is not known any more who made them and when, since the job was
  /// deleted; not with `job` or `task`.
  bool unknown_maker = false;

  bool operator==(const ResultSelection&) const = default;
};

struct ForgetRequest {
  std::string request_id;  ///< may be empty
  ResultSelection which;
  bool validate_only = false;  ///< count them, and forget none
};

struct ForgottenResults {
  std::int64_t results = 0;     ///< forgotten, or that would be
  std::int64_t unfinished = 0;  ///< work of attempts that another would have gone on from
  /// Left alone, since nobody knows who made them.
  std::int64_t unknown = 0;

  bool operator==(const ForgottenResults&) const = default;
};

}  // namespace tyllm::domain
