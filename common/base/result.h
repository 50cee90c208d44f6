// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "common/base/status.h"

namespace tyllm {

/// A value, or the Status that says why there is none. Names follow std::expected, which may
/// replace it one day. Reading the value of an error aborts: test ok() or use TYLLM_ASSIGN.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  // Implicit on purpose: `return value;` and `return NotFound(...);` both read well.
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)

  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    TYLLM_CHECK(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }

  explicit operator bool() const { return ok(); }

  const Status& status() const { return status_; }

  T& value() & {
    TYLLM_CHECK(ok());
    return *value_;
  }

  const T& value() const& {
    TYLLM_CHECK(ok());
    return *value_;
  }

  T&& value() && {
    TYLLM_CHECK(ok());
    return *std::move(value_);
  }

  T& operator*() & { return value(); }

  const T& operator*() const& { return value(); }

  T&& operator*() && { return std::move(*this).value(); }

  T* operator->() { return &value(); }

  const T* operator->() const { return &value(); }

  /// The same, with "context: " in front of the error's message.
  Result Annotate(std::string_view context) && {
    if (ok()) {
      return std::move(*this);
    }
    return status_.Annotate(context);
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace tyllm

#define TYLLM_CONCAT_INNER(a, b) a##b
#define TYLLM_CONCAT(a, b) TYLLM_CONCAT_INNER(a, b)

/// `TYLLM_ASSIGN(auto file, Open(path));` declares `file`, or returns the error.
#define TYLLM_ASSIGN(declaration, expr) \
  TYLLM_ASSIGN_INNER(TYLLM_CONCAT(result_, __LINE__), declaration, expr)
#define TYLLM_ASSIGN_INNER(result, declaration, expr) \
  auto result = (expr);                               \
  if (!result.ok()) {                                 \
    return result.status();                           \
  }                                                   \
  declaration = *std::move(result)

/// TYLLM_TRY and TYLLM_ASSIGN for coroutines, whose return is co_return.
#define TYLLM_CO_TRY(expr)                                 \
  do {                                                     \
    if (::tyllm::Status status_ = (expr); !status_.ok()) { \
      co_return status_;                                   \
    }                                                      \
  } while (false)
#define TYLLM_CO_ASSIGN(declaration, expr) \
  TYLLM_CO_ASSIGN_INNER(TYLLM_CONCAT(result_, __LINE__), declaration, expr)
#define TYLLM_CO_ASSIGN_INNER(result, declaration, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) {                                    \
    co_return result.status();                           \
  }                                                      \
  declaration = *std::move(result)
