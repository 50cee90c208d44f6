// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tyllm::domain {

/// A number that names one thing of a kind; text is a letter and the number ("j42"). Ids are given
/// out by the server, rise, and are never used again.
template <char kLetter>
struct Id {
  std::int64_t value = 0;
  auto operator<=>(const Id&) const = default;

  std::string ToString() const { return kLetter + std::to_string(value); }

  static Result<Id> Parse(std::string_view text) {
    Id id;
    const char* const end = text.data() + text.size();
    if (text.size() >= 2 && text.front() == kLetter) {
      const auto [last, error] = std::from_chars(text.data() + 1, end, id.value);
      if (error == std::errc() && last == end && id.value > 0) {
        return id;
      }
    }
    return InvalidArgument("'" + std::string(text.substr(0, 40)) + "' is not an id, expected '" +
                           kLetter + "' and a number, such as " + kLetter + "42");
  }
};

using JobId = Id<'j'>;
using TaskId = Id<'t'>;

/// Counts the times that a task was leased, from 1. (task, attempt) is the fence: whatever a worker
/// says of an attempt that is not the task's current one is refused.
using Attempt = std::int32_t;

}  // namespace tyllm::domain
