// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace tyllm::wire {

/// The `domain` of every ErrorInfo.
inline constexpr std::string_view kErrorDomain = "tyllm";

/// What an error tells a program besides its code. google.rpc's messages of these names.
struct ErrorDetails {
  struct FieldViolation {
    std::string field;  ///< path from the request
    std::string description;
  };

  struct PreconditionViolation {
    std::string type;
    std::string subject;
    std::string description;
  };

  struct QuotaViolation {
    std::string subject;
    std::string description;
  };

  std::string reason;  ///< of the ErrorInfo, UPPER_SNAKE; empty: the code's name
  std::vector<FieldViolation> fields;
  std::vector<PreconditionViolation> preconditions;
  std::vector<QuotaViolation> quotas;
  std::optional<std::int64_t> retry_delay_ms;
  Status::Facts facts;  ///< metadata of the ErrorInfo
};

/// A google.rpc.Status with exactly one ErrorInfo in the details, and of BadRequest,
/// PreconditionFailure, QuotaFailure and RetryInfo one each where there is something to say.
/// Messages are cut at kMaxErrorBytes; what has no room in the trailers is left out.
grpc::Status ToGrpc(const Status& status, const ErrorDetails& details);

/// A google.rpc.Status with exactly one ErrorInfo in the details; `reason` (UPPER_SNAKE) is the
/// code's name unless there is more to tell a program. Messages are cut at kMaxErrorBytes.
grpc::Status ToGrpc(const Status& status, std::string_view reason = {});

/// Code, message and facts; a number that is no canonical code is kUnknown. A stream that the
/// network or a proxy broke is kUnavailable, whatever gRPC makes of it (INTERNAL, UNKNOWN,
/// CANCELLED, ...): the server has not answered.
Status FromGrpc(const grpc::Status& status);

/// For how long the one who answered wants to be left alone before the same call is made again;
/// nothing when the error says nothing of it.
std::optional<std::int64_t> RetryDelayMillis(const grpc::Status& status);

/// The ErrorInfo's reason; empty when the error did not come from a tyllm-server's use case (the
/// network, a proxy).
std::string ReasonOf(const grpc::Status& status);

}  // namespace tyllm::wire
