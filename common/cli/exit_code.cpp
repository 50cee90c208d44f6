// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <string_view>

#include "common/base/json_string.h"
#include "common/cli/command.h"

namespace tyllm::cli {

ExitCode ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return ExitCode::kOk;
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
    case StatusCode::kUnimplemented:
      return ExitCode::kBadArguments;
    case StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
      return ExitCode::kUnreachable;
    case StatusCode::kAlreadyExists:
    case StatusCode::kPermissionDenied:
    case StatusCode::kUnauthenticated:
    case StatusCode::kFailedPrecondition:
      return ExitCode::kRefused;
    case StatusCode::kResourceExhausted:
      return status.of_memory() ? ExitCode::kOutOfMemory : ExitCode::kOutOfResources;
    case StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    case StatusCode::kUnknown:
    case StatusCode::kAborted:
    case StatusCode::kInternal:
    case StatusCode::kDataLoss:
      return ExitCode::kFailed;
  }
  return ExitCode::kFailed;
}

ExitCode ReportError(const Status& status, bool json) {
  std::string line = "error: " + status.message();
  if (json) {
    line = "{\"error\":{\"code\":";
    AppendJsonString(Name(status.code()), line);
    line += ",\"message\":";
    AppendJsonString(status.message(), line);
    line += "}}";
  }
  line += "\n";
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return ExitCodeOf(status);
}

}  // namespace tyllm::cli
