// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "common/base/json_string.h"

namespace tyllm::telemetry {

namespace {

// One line stays one line; a value with spaces is quoted.
void AppendValue(std::string_view value, std::string& line) {
  if (value.empty() || value.find_first_of(" \"\n\r\t\\=") != std::string_view::npos) {
    AppendJsonString(value, line);
  } else {
    line += value;
  }
}

std::string JsonLine(std::string_view time, LogLevel level, std::string_view message,
                     Log::Fields fields) {
  std::string line = "{\"time\":\"" + std::string(time) + "\",\"level\":\"" +
                     std::string(kLogLevelNames.Name(level)) + "\",\"message\":";
  AppendJsonString(message, line);
  for (const LogField& field : fields) {
    line += ',';
    AppendJsonString(field.key, line);
    line += ':';
    AppendJsonString(field.value, line);
  }
  return line + '}';
}

std::string TextLine(std::string_view time, LogLevel level, std::string_view message,
                     Log::Fields fields) {
  constexpr std::size_t kLevelWidth = 8;
  std::string line(time);
  line += ' ';
  line += kLogLevelNames.Name(level);
  line.resize(time.size() + 1 + kLevelWidth, ' ');
  for (const char c : message) {
    line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    AppendValue(field.value, line);
  }
  return line;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

struct Log::Sink {
  explicit Sink(std::ostream& out)
      : logger("tyllm", std::make_shared<spdlog::sinks::ostream_sink_mt>(out, true)) {
    logger.set_level(spdlog::level::trace);
    logger.set_pattern("%v");
  }

  spdlog::logger logger;
};

Log::Log(Options options, const Clock& clock, std::ostream& out)
    : options_(options), clock_(clock), sink_(std::make_unique<Sink>(out)) {}

Log::~Log() = default;

void Log::Write(LogLevel level, std::string_view message, Fields fields) {
  if (level < options_.level) {
    return;
  }
  const std::string time = IsoTime(clock_.UnixMillis());
  const std::string line = options_.format == LogFormat::kJson
                               ? JsonLine(time, level, message, fields)
                               : TextLine(time, level, message, fields);
  sink_->logger.log(ToSpdlog(level), line);
}

std::string IsoTime(std::int64_t unix_millis) {
  const std::time_t seconds = static_cast<std::time_t>(unix_millis / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                parts.tm_sec, static_cast<int>(unix_millis % 1000));
  return text.data();
}

}  // namespace tyllm::telemetry
