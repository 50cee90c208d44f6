// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"

namespace tyllm {

/// The only conversion between an enum and its text. One constexpr table per enum lists every
/// enumerator in order, starting at 0:
///
///   inline constexpr EnumTable<Color, 2> kColorNames("color", {{{Color::kRed, "red"},
///   {Color::kBlue, "blue"}}});
template <typename E, std::size_t N>
class EnumTable {
 public:
  using Row = std::pair<E, std::string_view>;

  consteval EnumTable(std::string_view kind, std::array<Row, N> rows) : kind_(kind), rows_(rows) {
    for (std::size_t i = 0; i < N; ++i) {
      if (static_cast<std::size_t>(rows_[i].first) != i) {
        throw "an enumerator is missing or out of order";
      }
      for (std::size_t j = 0; j < i; ++j) {
        if (rows_[j].second == rows_[i].second) {
          throw "two enumerators have one name";
        }
      }
    }
  }

  constexpr std::string_view Name(E value) const {
    return rows_[static_cast<std::size_t>(value)].second;
  }

  constexpr std::optional<E> Find(std::string_view name) const {
    for (const Row& row : rows_) {
      if (row.second == name) {
        return row.first;
      }
    }
    return std::nullopt;
  }

  constexpr std::optional<E> FromInteger(long long value) const {
    if (value < 0 || value >= static_cast<long long>(N)) {
      return std::nullopt;
    }
    return rows_[static_cast<std::size_t>(value)].first;
  }

  /// The enumerator, or an error that lists the names there are.
  Result<E> Parse(std::string_view name) const {
    if (const std::optional<E> found = Find(name)) {
      return *found;
    }
    return InvalidArgument(std::string(kind_) + " is '" + std::string(name) +
                           "', expected one of: " + Names());
  }

  /// "red, blue".
  std::string Names() const {
    std::string names;
    for (const Row& row : rows_) {
      names += (names.empty() ? "" : ", ");
      names += row.second;
    }
    return names;
  }

  constexpr const std::array<Row, N>& rows() const { return rows_; }

 private:
  std::string_view kind_;
  std::array<Row, N> rows_;
};

}  // namespace tyllm
