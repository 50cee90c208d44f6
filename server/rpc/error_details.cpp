// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/error_details.h"

#include <string>
#include <string_view>

#include "common/wire/limits.h"
#include "server/rpc/reasons.h"
#include "server/rpc/roles.h"

namespace tyllm::server::rpc {

namespace {

/// After a restart, or a store that comes back.
constexpr std::int64_t kRetrySoonMs = 1'000;
/// A full disk takes somebody's hand.
constexpr std::int64_t kRetryLaterMs = 30'000;

constexpr std::string_view kTooLarge = "the answer has ";
constexpr std::string_view kJobs = "jobs/";

// "j42 has ended" is about j42.
std::string SubjectOf(const std::string& message) {
  const std::string first = message.substr(0, message.find(' '));
  const bool is_id = first.size() > 1 && (first[0] == 'j' || first[0] == 't') && first[1] >= '0' &&
                     first[1] <= '9';
  return is_id ? (first[0] == 'j' ? std::string(kJobs) : "tasks/") + first : std::string();
}

}  // namespace

Status AnswerTooLarge(std::size_t bytes) {
  return ResourceExhausted(std::string(kTooLarge) + std::to_string(bytes) + " bytes, at most " +
                           std::to_string(wire::kMaxMessageBytes) +
                           " fit into a message; ask for less at a time")
      .With("size", static_cast<std::int64_t>(bytes))
      .With("limit", static_cast<std::int64_t>(wire::kMaxMessageBytes));
}

wire::ErrorDetails DetailsFor(std::string_view method, const Status& status) {
  wire::ErrorDetails details;
  details.reason = ReasonFor(method, status.code());
  details.facts = status.facts();
  const std::string& message = status.message();
  const StatusCode code = status.code();
  if (const std::string subject = SubjectOf(message);
      subject.starts_with(kJobs) && code != StatusCode::kInvalidArgument) {
    details.facts.emplace("job", subject.substr(kJobs.size()));
  }
  if (code == StatusCode::kInvalidArgument) {
    details.fields.push_back({domain::FieldOf(message), message});
  } else if (code == StatusCode::kFailedPrecondition) {
    details.preconditions.push_back(
        {details.reason.empty() ? std::string(Name(code)) : details.reason, SubjectOf(message),
         message});
  } else if (code == StatusCode::kUnavailable) {
    details.retry_delay_ms = kRetrySoonMs;
  } else if (code == StatusCode::kResourceExhausted && message.starts_with("quota: ")) {
    details.reason = domain::kQuotaExceededReason;
    details.quotas.push_back({"spec.project", message});
  } else if (code == StatusCode::kResourceExhausted && !message.starts_with(kTooLarge)) {
    details.retry_delay_ms = kRetryLaterMs;
  }
  return details;
}

wire::ErrorDetails DetailsOfRefusal(std::string_view method) {
  wire::ErrorDetails details;
  details.reason = "ROLE_NEEDED";
  const std::vector<Role> roles = RolesFor(method);
  details.facts["role"] = roles.empty() ? "" : std::string(kRoleNames.Name(roles.front()));
  details.facts["method"] = std::string(method);
  return details;
}

wire::ErrorDetails DetailsFor(const std::vector<domain::Problem>& problems) {
  wire::ErrorDetails details;
  for (const domain::Problem& problem : problems) {
    if (details.reason.empty()) {
      details.reason = problem.reason;
      details.facts = problem.facts;
    }
    if (problem.reason == domain::kInvalidArgumentReason) {
      details.fields.push_back({problem.field, problem.message});
    } else if (problem.reason == domain::kQuotaExceededReason) {
      details.quotas.push_back({problem.field, problem.message});
    } else if (problem.reason == domain::kNoWorkerReason) {
      details.preconditions.push_back({problem.reason, problem.field, problem.message});
    } else {
      for (const BlobId& blob : problem.missing) {
        details.preconditions.push_back({"MISSING", "blobs/" + blob.ToString(), problem.field});
      }
    }
  }
  return details;
}

}  // namespace tyllm::server::rpc
