// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tyllm::testing {

/// The value of a series of /metrics as it stands there, or "absent". `series` has its labels in
/// the order of their names: `a_total{code="OK",method="Get"}`.
inline std::string MetricValue(const std::string& text, const std::string& series) {
  const std::string line = "\n" + series + " ";
  const std::size_t at = ("\n" + text).find(line);
  if (at == std::string::npos) {
    return "absent";
  }
  const std::size_t begin = at + line.size() - 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace tyllm::testing
