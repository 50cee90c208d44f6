// SPDX-License-Identifier: Apache-2.0
#include "server/app/clocks_by_kind.h"

#include <charconv>

namespace tyllm::server::app {

namespace {

constexpr std::int64_t kLongest = 365 * 86'400;

Result<Milliseconds> Seconds(const std::string& text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 1 ||
      seconds > kLongest) {
    return InvalidArgument("'" + text + "', expected a whole number of seconds from 1 to " +
                           std::to_string(kLongest));
  }
  return Milliseconds(std::chrono::seconds(seconds));
}

using Clocks = std::map<domain::TaskKind, sched::OwnClocks>;

Status Add(const char* key, const config::Pairs& pairs,
           std::optional<Milliseconds> sched::OwnClocks::* clock, Clocks& clocks) {
  for (const auto& [name, text] : pairs) {
    TYLLM_ASSIGN(const domain::TaskKind kind, domain::kTaskKindNames.Parse(name).Annotate(key));
    TYLLM_ASSIGN(clocks[kind].*clock, Seconds(text).Annotate(std::string(key) + "." + name));
  }
  return OkStatus();
}

}  // namespace

Result<Clocks> ClocksByKind(const ServerConfig& config) {
  Clocks clocks;
  TYLLM_TRY(Add("lease.by_kind", config.lease_by_kind, &sched::OwnClocks::lease, clocks));
  TYLLM_TRY(
      Add("attempt.stall_by_kind", config.attempt_stall_by_kind, &sched::OwnClocks::stall, clocks));
  TYLLM_TRY(Add("attempt.deadline_by_kind", config.attempt_deadline_by_kind,
                &sched::OwnClocks::deadline, clocks));
  return clocks;
}

}  // namespace tyllm::server::app
