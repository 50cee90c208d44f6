// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace tyllm::wire {

/// The `domain` of every ErrorInfo.
inline constexpr std::string_view kErrorDomain = "tyllm";

/// A google.rpc.Status with exactly one ErrorInfo in the details; `reason` (UPPER_SNAKE) is the
/// code's name unless there is more to tell a program. Messages are cut at kMaxErrorBytes.
grpc::Status ToGrpc(const Status& status, std::string_view reason = {});

/// Code and message; a number that is no canonical code is kUnknown.
Status FromGrpc(const grpc::Status& status);

/// The ErrorInfo's reason; empty when the error did not come from a tyllm-server's use case (the
/// network, a proxy).
std::string ReasonOf(const grpc::Status& status);

}  // namespace tyllm::wire
