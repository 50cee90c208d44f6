// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/domain/job_changes.h"
#include "server/store/queue.h"

namespace tyllm::server::core {

/// A change that may come twice because no answer to the first came through.
struct Asked {
  std::string request_id;  ///< empty: nobody will know it again
  std::string method;
  Sha256 fingerprint;  ///< of what was asked
};

/// `text` says everything that was asked.
Asked AskedOf(const std::string& request_id, std::string method, std::string_view text);

/// At most 64 characters, and at least one when it is required.
Status CheckRequestId(const std::string& request_id, bool required);

/// True when the request was answered before; kAlreadyExists when its id was another's.
Result<bool> WasAnswered(store::Queue& queue, const Asked& asked);

/// Makes the change, or nothing when it was made before, in the caller's transaction. `job` is what
/// is changed.
template <typename Change>
Status MakeOnce(store::Queue& queue, const Asked& asked, const std::optional<domain::JobId>& job,
                std::int64_t now, Change change) {
  TYLLM_ASSIGN(const bool answered, WasAnswered(queue, asked));
  if (answered) {
    return OkStatus();
  }
  TYLLM_TRY(change());
  return asked.request_id.empty()
             ? OkStatus()
             : queue.NoteRequest(asked.request_id, {asked.method, asked.fingerprint, job}, now);
}

/// kAborted: `what` has `etag`, and the one who asks supposed another.
Status EtagMismatch(const std::string& what, const std::string& etag, const std::string& given);

/// kAborted when the job is not any more as it was read.
Status CheckEtag(store::Queue& queue, const domain::JobChange& change);

}  // namespace tyllm::server::core
