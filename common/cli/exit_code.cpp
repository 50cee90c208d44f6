// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <string_view>

#include "common/cli/command.h"

namespace tyllm::cli {

namespace {

std::string JsonText(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

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
      return ExitCode::kOutOfResources;
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
  const std::string line = json ? "{\"error\":{\"code\":" + JsonText(Name(status.code())) +
                                      ",\"message\":" + JsonText(status.message()) + "}}\n"
                                : "error: " + status.message() + "\n";
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return ExitCodeOf(status);
}

}  // namespace tyllm::cli
