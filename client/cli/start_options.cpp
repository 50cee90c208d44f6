// SPDX-License-Identifier: Apache-2.0
#include "client/cli/start_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace tyllm::client {

namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
    {{"", 1000}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

Status CheckKnown(const domain::ServerCapabilities& server, std::string_view feature,
                  std::string_view option) {
  if (std::ranges::find(server.features, feature) != server.features.end()) {
    return OkStatus();
  }
  return FailedPrecondition("the server has version " + server.server_version +
                            ", which does not know " + std::string(option) +
                            " and would let the job wait; leave the option out, or have the server "
                            "updated");
}

}  // namespace

Result<std::int64_t> ParseTimeSpan(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto* const row =
      std::ranges::find(kUnits, unit, &std::pair<std::string_view, std::int64_t>::first);
  if (error == std::errc() && count > 0 && row != kUnits.end() &&
      count <= domain::kLongestStartWithinMs / row->second) {
    return count * row->second;
  }
  return InvalidArgument("'" + std::string(text) +
                         "' is no time, expected one of up to a year, such as 90s, 10m, 2h or 1d");
}

void StartOptions::AddTo(cli::CommandSpec& spec) {
  spec.options.push_back({"--start-within", "TIME",
                          "give the job up when none of its tasks has begun so long after it was "
                          "queued: 90s, 10m, 2h, 1d (default: it waits for as long as it takes)",
                          &within});
  spec.options.push_back({"--refuse-if-no-worker", "",
                          "queue nothing when no worker that is there can take some task of it",
                          &refuse_if_no_worker});
}

Status StartOptions::Apply(Farm& farm, domain::JobSpec& spec, const std::stop_token& stop) const {
  if (!within && !refuse_if_no_worker) {
    return OkStatus();
  }
  if (within) {
    TYLLM_ASSIGN(spec.start_within_ms, ParseTimeSpan(*within).Annotate("--start-within"));
  }
  TYLLM_ASSIGN(const domain::ServerCapabilities server, farm.Capabilities(spec.project, stop));
  if (within) {
    TYLLM_TRY(CheckKnown(server, "start_within", "--start-within"));
  }
  return refuse_if_no_worker ? CheckKnown(server, "refuse_if_no_worker", "--refuse-if-no-worker")
                             : OkStatus();
}

}  // namespace tyllm::client
