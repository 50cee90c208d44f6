// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/format/json_text.h"

namespace tyllm::server::store {

/// A struct as the JSON text of a column.
template <typename T>
std::string ToColumn(const T& value) {
  return format::CompactText(value);
}

/// Back. `what` names the column in the error: kDataLoss, since only this program writes it. Keys
/// of versions that no longer have them are passed over.
template <typename T>
Result<T> FromColumn(const std::string& text, std::string_view what) {
  auto json = format::ParseJson(text, what);
  if (!json.ok()) {
    return DataLoss(json.status().message());
  }
  auto value = format::FromJson<T>(*json, what, format::UnknownKeys::kIgnore);
  if (!value.ok()) {
    return DataLoss(value.status().message());
  }
  return value;
}

/// An enum column: the CHECKs of the schema keep it in range.
template <typename E>
Result<E> EnumColumn(std::int64_t value) {
  const auto found = NamesOf(E{}).FromInteger(value);
  if (!found) {
    return DataLoss("a column holds " + std::to_string(value) +
                    ", expected one of: " + NamesOf(E{}).Names());
  }
  return *found;
}

}  // namespace tyllm::server::store
