// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace tyllm {

namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

StatusCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
      return StatusCode::kNotFound;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return StatusCode::kResourceExhausted;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case EEXIST:
    case ENOTEMPTY:
      return StatusCode::kAlreadyExists;
    case ENOTDIR:
    case EISDIR:
    case EXDEV:
    case EMLINK:
    case ENOTSUP:
    case ENOSYS:
      return StatusCode::kFailedPrecondition;
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
    case EILSEQ:
    case E2BIG:
    case ENOEXEC:
      return StatusCode::kInvalidArgument;
    case EIO:
    case EMFILE:
    case ENFILE:
    case EBUSY:
    case ETXTBSY:
    case EAGAIN:
    case EINTR:
    case ETIMEDOUT:
    case ESTALE:
    case ENODEV:
    case ENXIO:
    case ENOLCK:
    case EUCLEAN:
    case EREMOTEIO:
    case EPIPE:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
      return StatusCode::kUnavailable;
    default:
      return StatusCode::kUnknown;
  }
}

/// What to do about it; empty where only the caller knows.
std::string_view AdviceOfErrno(int error) {
  switch (error) {
    case ENOSPC:
      return "; free some space on that disk, or write to another";
    case EDQUOT:
      return "; free some of the disk quota, or write to another disk";
    case EFBIG:
      return "; allow larger files (ulimit -f), or write to a disk that takes them";
    case EACCES:
    case EPERM:
      return "; give this user the right to it";
    case EIO:
      return "; the disk or its connection is broken: see the kernel's log";
    case EMFILE:
    case ENFILE:
      return "; allow more open files (ulimit -n)";
    case EROFS:
      return "; write to another disk";
    case ENOMEM:
      return "; free some memory, allow more of it (ulimit -v), or run where there is more";
    case ENAMETOOLONG:
      return "; shorten the name";
    case ELOOP:
      return "; a link on the way leads back to itself, or none is allowed: mend it";
    default:
      return "";
  }
}

}  // namespace

std::string_view Name(StatusCode code) {
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

Status::Status(StatusCode code, std::string message, std::source_location where)
    : code_(code), message_(std::move(message)), where_(where) {}

Status Status::Annotate(std::string_view context) const {
  if (ok()) {
    return *this;
  }
  Status annotated = *this;
  annotated.message_ = context;
  annotated.message_ += ": ";
  annotated.message_ += message_;
  return annotated;
}

Status Status::With(std::string_view name, std::string value) const {
  if (ok()) {
    return *this;
  }
  auto facts = std::make_shared<Facts>(this->facts());
  facts->insert_or_assign(std::string(name), std::move(value));
  Status more = *this;
  more.facts_ = std::move(facts);
  return more;
}

Status Status::With(std::string_view name, std::int64_t value) const {
  return With(name, std::to_string(value));
}

const Status::Facts& Status::facts() const {
  static const Facts none;
  return facts_ == nullptr ? none : *facts_;
}

std::optional<std::int64_t> Status::NumberOf(std::string_view name) const {
  const auto found = facts().find(name);
  if (found == facts().end()) {
    return std::nullopt;
  }
  const std::string& text = found->second;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

std::string Status::ToString() const {
  if (ok()) {
    return "OK";
  }
  std::string text(Name(code_));
  text += ": ";
  text += message_;
  return text;
}

#define TYLLM_DEFINE_ERROR(name)                       \
  Status name(std::string m, std::source_location w) { \
    return {StatusCode::k##name, std::move(m), w};     \
  }

TYLLM_DEFINE_ERROR(Cancelled)
TYLLM_DEFINE_ERROR(InvalidArgument)
TYLLM_DEFINE_ERROR(DeadlineExceeded)
TYLLM_DEFINE_ERROR(NotFound)
TYLLM_DEFINE_ERROR(AlreadyExists)
TYLLM_DEFINE_ERROR(PermissionDenied)
TYLLM_DEFINE_ERROR(ResourceExhausted)
TYLLM_DEFINE_ERROR(FailedPrecondition)
TYLLM_DEFINE_ERROR(Aborted)
TYLLM_DEFINE_ERROR(OutOfRange)
TYLLM_DEFINE_ERROR(Unimplemented)
TYLLM_DEFINE_ERROR(Internal)
TYLLM_DEFINE_ERROR(Unavailable)
TYLLM_DEFINE_ERROR(DataLoss)

#undef TYLLM_DEFINE_ERROR

Status OutOfMemory(std::string m, std::source_location w) {
  Status status = ResourceExhausted(std::move(m), w);
  status.of_memory_ = true;
  return status;
}

Status FromErrno(int error, std::string_view what, std::source_location w) {
  std::string message(what);
  message += ": ";
  message += std::generic_category().message(error);
  message += AdviceOfErrno(error);
  return error == ENOMEM ? OutOfMemory(std::move(message), w)
                         : Status(CodeOfErrno(error), std::move(message), w);
}

void CheckFailed(const char* condition, const std::source_location& where) {
  std::fprintf(stderr, "%s:%u: broken invariant: %s\n", where.file_name(), where.line(), condition);
  std::abort();
}

}  // namespace tyllm
