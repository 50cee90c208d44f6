// SPDX-License-Identifier: Apache-2.0
#include "server/sched/shares.h"

#include <algorithm>
#include <cmath>

namespace tyllm::server::sched {

namespace {

double Seconds(Milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

double WeightOf(const Shares& shares, const std::string& project) {
  const auto share = shares.projects.find(project);
  return share == shares.projects.end() ? 1 : share->second.weight;
}

}  // namespace

double Decayed(double seconds, Milliseconds age, const Fairness& fairness) {
  // A clock that was set back makes nothing grow.
  return seconds * std::exp2(-std::max(0.0, Seconds(age) / Seconds(fairness.half_life)));
}

double RateOf(const domain::Capabilities& worker, const Fairness& fairness) {
  return worker.device == "cuda" || worker.gpus > 0 ? 1 : fairness.cpu_rate;
}

double ChargeOf(const Share& share, const Fairness& fairness) {
  const double entry = Seconds(fairness.entry) * share.running_rate;
  return (share.used_seconds + share.running_seconds + entry) / share.weight;
}

std::map<std::string, Portion> Portions(const Shares& shares,
                                        std::span<const std::string> wanting) {
  std::map<std::string, Portion> portions;
  double used = 0;
  for (const auto& [project, share] : shares.projects) {
    portions[project].actual = share.used_seconds + share.running_seconds;
    used += portions[project].actual;
  }
  double weights = 0;
  for (const std::string& project : wanting) {
    portions[project].due = WeightOf(shares, project);
    weights += portions[project].due;
  }
  for (auto& [project, portion] : portions) {
    portion.actual = used > 0 ? portion.actual / used : 0;
    portion.due = weights > 0 ? portion.due / weights : 0;
  }
  return portions;
}

}  // namespace tyllm::server::sched
