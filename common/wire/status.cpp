// SPDX-License-Identifier: Apache-2.0
#include "common/wire/status.h"

#include "common/wire/limits.h"
#include "common/wire/text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tyllm::wire {

namespace {

constexpr bool Same(StatusCode ours, grpc::StatusCode theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}

// The conversion is a cast because of these.
static_assert(Same(StatusCode::kOk, grpc::OK));
static_assert(Same(StatusCode::kCancelled, grpc::CANCELLED));
static_assert(Same(StatusCode::kUnknown, grpc::UNKNOWN));
static_assert(Same(StatusCode::kInvalidArgument, grpc::INVALID_ARGUMENT));
static_assert(Same(StatusCode::kDeadlineExceeded, grpc::DEADLINE_EXCEEDED));
static_assert(Same(StatusCode::kNotFound, grpc::NOT_FOUND));
static_assert(Same(StatusCode::kAlreadyExists, grpc::ALREADY_EXISTS));
static_assert(Same(StatusCode::kPermissionDenied, grpc::PERMISSION_DENIED));
static_assert(Same(StatusCode::kResourceExhausted, grpc::RESOURCE_EXHAUSTED));
static_assert(Same(StatusCode::kFailedPrecondition, grpc::FAILED_PRECONDITION));
static_assert(Same(StatusCode::kAborted, grpc::ABORTED));
static_assert(Same(StatusCode::kOutOfRange, grpc::OUT_OF_RANGE));
static_assert(Same(StatusCode::kUnimplemented, grpc::UNIMPLEMENTED));
static_assert(Same(StatusCode::kInternal, grpc::INTERNAL));
static_assert(Same(StatusCode::kUnavailable, grpc::UNAVAILABLE));
static_assert(Same(StatusCode::kDataLoss, grpc::DATA_LOSS));
static_assert(Same(StatusCode::kUnauthenticated, grpc::UNAUTHENTICATED));

/// A description beside others; the message has the whole text of the first.
constexpr std::size_t kMaxDescriptionBytes = 256;

std::string Short(const std::string& text) {
  return Shortened(ValidUtf8(text), kMaxDescriptionBytes);
}

// Adds a detail while it has room in the trailers.
void Pack(const google::protobuf::Message& detail, google::rpc::Status& rich) {
  if (rich.ByteSizeLong() + detail.ByteSizeLong() < kMaxDetailBytes) {
    rich.add_details()->PackFrom(detail);
  }
}

void AddDetails(const ErrorDetails& details, google::rpc::Status& rich) {
  if (details.retry_delay_ms) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(*details.retry_delay_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(
        static_cast<std::int32_t>(*details.retry_delay_ms % 1000 * 1'000'000));
    Pack(retry, rich);
  }
  if (!details.fields.empty()) {
    google::rpc::BadRequest bad;
    for (const auto& one : details.fields) {
      auto& violation = *bad.add_field_violations();
      violation.set_field(Short(one.field));
      violation.set_description(Short(one.description));
    }
    Pack(bad, rich);
  }
  if (!details.preconditions.empty()) {
    google::rpc::PreconditionFailure failure;
    for (const auto& one : details.preconditions) {
      auto& violation = *failure.add_violations();
      violation.set_type(one.type);
      violation.set_subject(Short(one.subject));
      violation.set_description(Short(one.description));
    }
    Pack(failure, rich);
  }
  if (!details.quotas.empty()) {
    google::rpc::QuotaFailure failure;
    for (const auto& one : details.quotas) {
      auto& violation = *failure.add_violations();
      violation.set_subject(Short(one.subject));
      violation.set_description(Short(one.description));
    }
    Pack(failure, rich);
  }
}

// What gRPC says of a stream that ended without an answer: the other end, or something on the way,
// reset it.
bool IsBrokenStream(const grpc::Status& status) {
  const std::string& message = status.error_message();
  return status.error_details().empty() && (message.find("RST_STREAM") != std::string::npos ||
                                            message.find("Stream removed") != std::string::npos);
}

// The first detail of that kind.
template <typename Detail>
std::optional<Detail> FindDetail(const grpc::Status& status) {
  google::rpc::Status rich;
  if (!rich.ParseFromString(status.error_details())) {
    return std::nullopt;
  }
  for (const google::protobuf::Any& any : rich.details()) {
    if (Detail detail; any.UnpackTo(&detail)) {
      return detail;
    }
  }
  return std::nullopt;
}

}  // namespace

grpc::Status ToGrpc(const Status& status, std::string_view reason) {
  return ToGrpc(status, ErrorDetails{.reason = std::string(reason), .facts = status.facts()});
}

grpc::Status ToGrpc(const Status& status, const ErrorDetails& details) {
  if (status.ok()) {
    return grpc::Status::OK;
  }
  const std::string message = Shortened(ValidUtf8(status.message()), kMaxErrorBytes);
  google::rpc::ErrorInfo info;
  info.set_reason(details.reason.empty() ? std::string(Name(status.code())) : details.reason);
  info.set_domain(std::string(kErrorDomain));
  for (const auto& [name, value] : details.facts) {
    (*info.mutable_metadata())[name] = Short(value);
  }
  google::rpc::Status rich;
  rich.set_code(static_cast<int>(status.code()));
  rich.set_message(message);
  rich.add_details()->PackFrom(info);
  AddDetails(details, rich);
  return {static_cast<grpc::StatusCode>(status.code()), message, rich.SerializeAsString()};
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) {
    return OkStatus();
  }
  if (IsBrokenStream(status)) {
    return Unavailable("the connection broke: " + status.error_message());
  }
  const int code = status.error_code();
  const bool known = code > 0 && code <= static_cast<int>(StatusCode::kUnauthenticated);
  Status error(known ? static_cast<StatusCode>(code) : StatusCode::kUnknown,
               status.error_message());
  if (const auto info = FindDetail<google::rpc::ErrorInfo>(status);
      info && info->domain() == kErrorDomain) {
    for (const auto& [name, value] : info->metadata()) {
      error = error.With(name, value);
    }
  }
  return error;
}

std::string ReasonOf(const grpc::Status& status) {
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  return info && info->domain() == kErrorDomain ? info->reason() : std::string();
}

std::optional<std::int64_t> RetryDelayMillis(const grpc::Status& status) {
  const auto retry = FindDetail<google::rpc::RetryInfo>(status);
  if (!retry) {
    return std::nullopt;
  }
  return retry->retry_delay().seconds() * 1000 + retry->retry_delay().nanos() / 1'000'000;
}

}  // namespace tyllm::wire
