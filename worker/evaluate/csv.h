// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace tyllm::evaluate {

/// A record of a CSV file and the line on which it starts, from 1.
struct CsvRecord {
  std::int64_t line = 0;
  std::vector<std::string> fields;

  bool operator==(const CsvRecord&) const = default;
};

/// Comma-separated values as RFC 4180 has them: fields in quotes may hold commas, line breaks and
/// doubled quotes; lines end in LF or CRLF. Empty lines are left out, as is a byte order mark.
/// `what` names the file in messages, which say the line.
Result<std::vector<CsvRecord>> ParseCsv(std::string_view text, std::string_view what);

}  // namespace tyllm::evaluate
