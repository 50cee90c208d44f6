// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/enum_table.h"

namespace tyllm::telemetry {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

inline constexpr EnumTable<LogLevel, 4> kLogLevelNames("log level",
                                                       {{{LogLevel::kDebug, "debug"},
                                                         {LogLevel::kInfo, "info"},
                                                         {LogLevel::kWarning, "warning"},
                                                         {LogLevel::kError, "error"}}});

constexpr const auto& NamesOf(LogLevel) {
  return kLogLevelNames;
}

/// Lines for people, or one JSON object a line.
enum class LogFormat : std::uint8_t { kText, kJson };

inline constexpr EnumTable<LogFormat, 2> kLogFormatNames("log format",
                                                         {{{LogFormat::kText, "text"},
                                                           {LogFormat::kJson, "json"}}});

constexpr const auto& NamesOf(LogFormat) {
  return kLogFormatNames;
}

/// Something that programs look for in a line: a job's id, a worker's name.
struct LogField {
  LogField(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}

  LogField(std::string_view field_key, std::integral auto number)
      : key(field_key), value(std::to_string(number)) {}

  std::string_view key;  ///< lives as long as the call
  std::string value;
};

/// A program's log, made once and passed by reference. Threads: any. Lines are whole.
///
///   2026-11-23T02:40:00.123Z info    worker joined worker=gpu1 slots=2
///   {"time":"2026-11-23T02:40:00.123Z","level":"info","message":"worker
///   joined","worker":"gpu1",...}
class Log {
 public:
  struct Options {
    LogLevel level = LogLevel::kInfo;  ///< and above
    LogFormat format = LogFormat::kText;
  };

  using Fields = std::initializer_list<LogField>;

  /// `out` (std::cerr) and `clock` outlive the log.
  Log(Options options, const Clock& clock, std::ostream& out);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void Debug(std::string_view message, Fields fields = {}) {
    Write(LogLevel::kDebug, message, fields);
  }

  void Info(std::string_view message, Fields fields = {}) {
    Write(LogLevel::kInfo, message, fields);
  }

  void Warning(std::string_view message, Fields fields = {}) {
    Write(LogLevel::kWarning, message, fields);
  }

  void Error(std::string_view message, Fields fields = {}) {
    Write(LogLevel::kError, message, fields);
  }

 private:
  struct Sink;
  void Write(LogLevel level, std::string_view message, Fields fields);

  const Options options_;
  const Clock& clock_;
  std::unique_ptr<Sink> sink_;
};

/// "2026-11-23T02:40:00.123Z".
std::string IsoTime(std::int64_t unix_millis);

}  // namespace tyllm::telemetry
