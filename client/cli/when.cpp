// SPDX-License-Identifier: Apache-2.0
#include "client/cli/when.h"

#include <charconv>
#include <ctime>
#include <optional>
#include <string_view>

namespace tyllm::client {

namespace {

constexpr std::int64_t kSecond = 1000;
/// More is before the year 1: nobody's farm.
constexpr std::int64_t kMostSeconds = 60'000'000'000;

std::optional<std::int64_t> Seconds(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86'400;
    default:
      return std::nullopt;
  }
}

std::optional<std::int64_t> Ago(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 0 || end + 1 != text.data() + text.size()) {
    return std::nullopt;
  }
  const std::optional<std::int64_t> unit = Seconds(*end);
  return unit && count <= kMostSeconds / *unit ? std::optional(count * *unit) : std::nullopt;
}

// What stands in all of the text; strptime takes what the calendar does not have.
std::optional<std::int64_t> At(std::string text) {
  const bool utc = text.ends_with('Z');
  if (utc) {
    text.pop_back();
  }
  for (const char* const format :
       {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
    std::tm parts{};
    parts.tm_isdst = -1;
    const char* const end = ::strptime(text.c_str(), format, &parts);
    if (end == nullptr || *end != '\0') {
      continue;
    }
    const int day = parts.tm_mday;
    const std::time_t seconds = utc ? ::timegm(&parts) : ::mktime(&parts);
    return parts.tm_mday == day ? std::optional<std::int64_t>(seconds) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Result<std::int64_t> ParseWhen(const std::string& text, std::int64_t now_unix_ms) {
  if (const std::optional<std::int64_t> ago = Ago(text)) {
    return now_unix_ms - *ago * kSecond;
  }
  if (const std::optional<std::int64_t> at = At(text)) {
    return *at * kSecond;
  }
  return InvalidArgument("'" + text.substr(0, 40) +
                         "' is no time, expected as 2026-11-28, '2026-11-28 14:00', "
                         "2026-11-28T14:00:30Z, or 30m, 2h, 7d for that long ago");
}

}  // namespace tyllm::client
