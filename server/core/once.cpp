// SPDX-License-Identifier: Apache-2.0
#include "server/core/once.h"

namespace tyllm::server::core {

namespace {

constexpr std::size_t kLongestRequestId = 64;

}  // namespace

Asked AskedOf(const std::string& request_id, std::string method, std::string_view text) {
  return {request_id, std::move(method), DigestOf(text)};
}

Status CheckRequestId(const std::string& request_id, bool required) {
  const std::size_t length = request_id.size();
  if (length > kLongestRequestId || (required && length == 0)) {
    return InvalidArgument("request_id has " + std::to_string(length) +
                           " characters, expected 1 to 64; a UUID is usual");
  }
  return OkStatus();
}

Result<bool> WasAnswered(store::Queue& queue, const Asked& asked) {
  if (asked.request_id.empty()) {
    return false;
  }
  TYLLM_ASSIGN(const std::optional<store::AnsweredRequest> found,
               queue.FindRequest(asked.request_id));
  if (!found) {
    return false;
  }
  const bool same = found->method == asked.method &&
                    (!found->fingerprint || *found->fingerprint == asked.fingerprint);
  if (!same) {
    const Status used = AlreadyExists(
        "request_id '" + asked.request_id + "' was used for another request (" + found->method +
        (found->job ? " of " + found->job->ToString() : "") + "); choose a new one");
    return found->job ? used.With("job", found->job->ToString()) : used;
  }
  return true;
}

Status EtagMismatch(const std::string& what, const std::string& etag, const std::string& given) {
  return Aborted(what + " has changed since it was read: its etag is " + etag + ", not " +
                 given.substr(0, 40) + "; read it again")
      .With("etag", etag);
}

Status CheckEtag(store::Queue& queue, const domain::JobChange& change) {
  if (change.etag.empty()) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const domain::JobView job, queue.GetJob(change.job));
  const std::string etag = domain::EtagOf(job);
  return etag == change.etag ? OkStatus()
                             : EtagMismatch(change.job.ToString(), etag, change.etag)
                                   .With("job", change.job.ToString());
}

}  // namespace tyllm::server::core
