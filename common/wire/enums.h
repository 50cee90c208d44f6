// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/enum_table.h"

namespace tyllm::wire {

// A proto enum has its domain enum's values in the same order after UNSPECIFIED = 0, so that the
// conversion is plus or minus one; static_asserts beside the users and a test over all names hold
// them together.

template <typename Proto, typename E>
Proto EnumToProto(E value) {
  return static_cast<Proto>(static_cast<int>(value) + 1);
}

/// UNSPECIFIED and numbers that this version does not know are kInvalidArgument; `what` names the
/// field.
template <typename E>
Result<E> EnumFromProto(int value, std::string_view what) {
  const auto& names = NamesOf(E{});
  if (const auto known = names.FromInteger(static_cast<long long>(value) - 1)) {
    return *known;
  }
  return InvalidArgument(std::string(what) + " has the number " + std::to_string(value) +
                         ", which this version does not know, expected one of: " + names.Names());
}

/// As EnumFromProto, with `fallback` for UNSPECIFIED.
template <typename E>
Result<E> EnumFromProtoOr(int value, E fallback, std::string_view what) {
  return value == 0 ? Result<E>(fallback) : EnumFromProto<E>(value, what);
}

}  // namespace tyllm::wire
