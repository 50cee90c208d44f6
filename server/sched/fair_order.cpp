// SPDX-License-Identifier: Apache-2.0
#include "server/sched/fair_order.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

namespace tyllm::server::sched {

namespace {

using domain::JobClass;

/// Smaller is served first.
struct Rank {
  bool behind_interactive = true;
  double charge = 0;
  std::string_view project;  // keeps a project's lanes together where charges are equal
  double priority = 0;       // negative: larger ones come first
  std::int64_t job = 0;
  std::int64_t lane = 0;

  bool operator<(const Rank& other) const {
    return std::tie(behind_interactive, charge, project, priority, job, lane) <
           std::tie(other.behind_interactive, other.charge, other.project, other.priority,
                    other.job, other.lane);
  }
};

class Ranking {
 public:
  Ranking(std::span<const Lane> lanes, const Shares& shares, Slots slots, std::int64_t now,
          const Fairness& fairness)
      : shares_(shares), now_(now), fairness_(fairness) {
    const double part = fairness.interactive_share * static_cast<double>(slots.total);
    const auto reserved = std::max<std::int64_t>(1, static_cast<std::int64_t>(part));
    interactive_first_ = shares.interactive_tasks < reserved;
    for (const Lane& lane : lanes) {
      least_ = std::min(least_, Charge(lane));
    }
  }

  Rank Of(const Lane& lane) const {
    return {.behind_interactive = !GoesFirst(lane),
            .charge = Charge(lane),
            .project = lane.key.project,
            .priority = -Priority(lane),
            .job = lane.oldest_job.value,
            .lane = lane.id};
  }

 private:
  double Charge(const Lane& lane) const {
    const auto share = shares_.projects.find(lane.key.project);
    return share == shares_.projects.end() ? 0 : ChargeOf(share->second, fairness_);
  }

  bool GoesFirst(const Lane& lane) const {
    const double entry = std::chrono::duration<double>(fairness_.entry).count();
    return lane.key.job_class == JobClass::kInteractive && interactive_first_ &&
           Charge(lane) <= fairness_.interactive_excess * (least_ + entry);
  }

  double Priority(const Lane& lane) const {
    const auto waited =
        static_cast<double>(std::max<std::int64_t>(0, now_ - lane.oldest_queued_ms));
    const int points =
        lane.key.job_class == JobClass::kInteractive ? fairness_.interactive_points : 0;
    return lane.key.priority + points + waited / static_cast<double>(fairness_.ageing.count());
  }

  const Shares& shares_;
  const std::int64_t now_;
  const Fairness& fairness_;
  double least_ = std::numeric_limits<double>::max();
  bool interactive_first_ = false;
};

}  // namespace

std::vector<std::size_t> FairOrder(std::span<const Lane> lanes, const Shares& shares, Slots slots,
                                   std::int64_t now, const Fairness& fairness) {
  const Ranking ranking(lanes, shares, slots, now, fairness);
  std::vector<std::pair<Rank, std::size_t>> ranked;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (!AtRunningLimit(shares, lanes[i].key.project)) {
      ranked.emplace_back(ranking.Of(lanes[i]), i);
    }
  }
  std::sort(ranked.begin(), ranked.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::size_t> order;
  order.reserve(ranked.size());
  for (const auto& [rank, index] : ranked) {
    order.push_back(index);
  }
  return order;
}

void NoteStart(Shares& shares, const LaneKey& lane, double rate) {
  Share& share = shares.projects[lane.project];
  share.running_rate += rate;
  ++share.running_tasks;
  shares.interactive_tasks += lane.job_class == JobClass::kInteractive ? 1 : 0;
}

bool AtRunningLimit(const Shares& shares, const std::string& project) {
  const auto share = shares.projects.find(project);
  return share != shares.projects.end() && share->second.max_running_tasks &&
         share->second.running_tasks >= *share->second.max_running_tasks;
}

}  // namespace tyllm::server::sched
