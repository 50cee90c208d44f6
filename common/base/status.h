// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>

namespace tyllm {

/// The sixteen canonical codes of gRPC and OK, with gRPC's numbers, so that the conversion in
/// common/wire is a cast. Choose by what the caller can do about it.
enum class StatusCode {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,  ///< the request itself is wrong, whatever the state of the system
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,   ///< disk, memory or a quota ran out
  kFailedPrecondition = 9,  ///< the request is fine, the state it needs is not there
  kAborted = 10,            ///< a compare-and-set lost (a stale attempt, a concurrent change)
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,     ///< a broken promise of ours
  kUnavailable = 14,  ///< try again later
  kDataLoss = 15,     ///< bytes are not what their digest or header says
  kUnauthenticated = 16,
};

/// Text of a code as gRPC spells it ("INVALID_ARGUMENT").
std::string_view Name(StatusCode code);

/// The result of something that can fail. A message names the thing, what was found, what was
/// expected and what to do. Cheap when OK.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message,
         std::source_location where = std::source_location::current());

  bool ok() const { return code_ == StatusCode::kOk; }

  StatusCode code() const { return code_; }

  const std::string& message() const { return message_; }

  /// Where the error was created; for logs, not for users.
  const std::source_location& where() const { return where_; }

  /// Whether it was memory that ran out; kResourceExhausted otherwise means disks and quotas.
  bool of_memory() const { return of_memory_; }

  /// The same error with "context: " in front; OK stays OK.
  Status Annotate(std::string_view context) const;

  /// What a message says in words, by name, for programs (docs/manual/api-errors.md).
  using Facts = std::map<std::string, std::string, std::less<>>;

  /// The same error with one fact more; OK stays OK.
  Status With(std::string_view name, std::string value) const;
  Status With(std::string_view name, std::int64_t value) const;

  const Facts& facts() const;
  /// A fact that is a number; nothing where there is none of that name.
  std::optional<std::int64_t> NumberOf(std::string_view name) const;

  /// "INVALID_ARGUMENT: message", or "OK".
  std::string ToString() const;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
  std::source_location where_;
  std::shared_ptr<const Facts> facts_;  ///< null: none
  bool of_memory_ = false;

  friend Status OutOfMemory(std::string m, std::source_location w);
};

inline Status OkStatus() {
  return {};
}

Status Cancelled(std::string m, std::source_location w = std::source_location::current());
Status InvalidArgument(std::string m, std::source_location w = std::source_location::current());
Status DeadlineExceeded(std::string m, std::source_location w = std::source_location::current());
Status NotFound(std::string m, std::source_location w = std::source_location::current());
Status AlreadyExists(std::string m, std::source_location w = std::source_location::current());
Status PermissionDenied(std::string m, std::source_location w = std::source_location::current());
Status ResourceExhausted(std::string m, std::source_location w = std::source_location::current());
/// kResourceExhausted of memory.
Status OutOfMemory(std::string m, std::source_location w = std::source_location::current());
Status FailedPrecondition(std::string m, std::source_location w = std::source_location::current());
Status Aborted(std::string m, std::source_location w = std::source_location::current());
Status OutOfRange(std::string m, std::source_location w = std::source_location::current());
Status Unimplemented(std::string m, std::source_location w = std::source_location::current());
Status Internal(std::string m, std::source_location w = std::source_location::current());
Status Unavailable(std::string m, std::source_location w = std::source_location::current());
Status DataLoss(std::string m, std::source_location w = std::source_location::current());

/// errno as a Status: ENOENT is kNotFound, ENOSPC and EDQUOT kResourceExhausted, ENOMEM
/// OutOfMemory, EACCES kPermissionDenied, EEXIST kAlreadyExists; a name that cannot be one
/// kInvalidArgument, what may go by (EIO, EMFILE, EBUSY and their like) kUnavailable. `what` says
/// what was tried on what.
Status FromErrno(int error, std::string_view what,
                 std::source_location w = std::source_location::current());

/// Aborts the program with the location: for broken invariants, never for input.
[[noreturn]] void CheckFailed(const char* condition, const std::source_location& where);

}  // namespace tyllm

#define TYLLM_CHECK(condition)                                             \
  do {                                                                     \
    if (!(condition)) {                                                    \
      ::tyllm::CheckFailed(#condition, ::std::source_location::current()); \
    }                                                                      \
  } while (false)

/// Returns from the enclosing function when `expr`, a Status, is an error.
#define TYLLM_TRY(expr)                                    \
  do {                                                     \
    if (::tyllm::Status status_ = (expr); !status_.ok()) { \
      return status_;                                      \
    }                                                      \
  } while (false)
