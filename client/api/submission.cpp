// SPDX-License-Identifier: Apache-2.0
#include "client/api/submission.h"

#include "common/base/digest.h"
#include "common/format/json_text.h"

namespace tyllm::client {

namespace {

/// Jobs of one request that came to nothing within a day, until somebody is to look at it.
constexpr int kMostTries = 10'000;
constexpr std::size_t kIdDigits = 40;  // of the digest; an id has at most 64 characters

// Nobody wants it in place of a new one.
bool CameToNothing(domain::JobState state) {
  switch (state) {
    case domain::JobState::kCancelling:
    case domain::JobState::kFailed:
    case domain::JobState::kCancelled:
      return true;
    case domain::JobState::kQueued:
    case domain::JobState::kRunning:
    case domain::JobState::kSucceeded:
      return false;
  }
  return false;
}

// The id's job was deleted, or another version wrote the same request in another way.
bool IsTaken(const Status& status) {
  return status.code() == StatusCode::kNotFound || status.code() == StatusCode::kAlreadyExists;
}

}  // namespace

std::string RequestIdOf(const domain::JobSpec& spec, std::string_view toolchain_version,
                        int number) {
  const std::string text = format::CompactText(spec) + "\n" + std::string(toolchain_version);
  return DigestOf(text).Hex().substr(0, kIdDigits) + "-" + std::to_string(number);
}

Result<Submission> SubmitOnce(Farm& farm, domain::SubmitRequest request,
                              const std::stop_token& stop) {
  TYLLM_ASSIGN(const domain::ServerCapabilities server,
               farm.Capabilities(request.spec.project, stop));
  for (int number = 0; number < kMostTries; ++number) {
    request.request_id = RequestIdOf(request.spec, server.server_version, number);
    Result<Farm::Submitted> submitted = farm.Submit(request, stop);
    if (IsTaken(submitted.status())) {
      continue;
    }
    TYLLM_TRY(submitted.status());
    if (!submitted->already_made || !CameToNothing(submitted->job.state)) {
      return Submission{*std::move(submitted), std::move(request.request_id)};
    }
  }
  return Aborted("the same request has come to nothing " + std::to_string(kMostTries) +
                 " times within a day; look at why (`tyllm-client explain`), or submit it with "
                 "--again");
}

}  // namespace tyllm::client
