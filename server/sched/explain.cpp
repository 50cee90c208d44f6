// SPDX-License-Identifier: Apache-2.0
#include "server/sched/explain.h"

#include <algorithm>
#include <charconv>

namespace tyllm::server::sched {

namespace {

using domain::Pending;
using domain::PendingReason;

/// Workers that could take the task.
struct Takers {
  std::int32_t eligible = 0;
  std::int32_t free = 0;
  std::int32_t full = 0;     ///< have a free slot, and no room beside their tasks
  std::int32_t small = 0;    ///< are free, with a GPU of less than such tasks wanted of late
  bool larger = false;       ///< somebody has as much
  std::int32_t spoilt = 0;   ///< are left out, as they were lost with it or their machine failed it
  std::int32_t benched = 0;  ///< get one task at a time, to try it
  std::int64_t slots = 0;
  std::int32_t cordoned = 0;  ///< could, but get nothing new
};

bool Contains(const std::vector<std::string>& all, const std::string& one) {
  return std::ranges::find(all, one) != all.end();
}

// Where nobody else is there, one that has spoilt it takes it again.
bool SomebodyElse(std::span<const Online> online, const PendingTask& task) {
  return std::ranges::any_of(online, [&](const Online& one) {
    return one.takes_work && CanTake(one.worker->capabilities, task.lane.needs) &&
           !Contains(task.spoilt_by, one.worker->name);
  });
}

Takers Count(std::span<const Online> online, const PendingTask& task) {
  const Needs& needs = task.lane.needs;
  const std::int64_t wanted_gpu_memory = task.wanted_gpu_memory;
  const bool somebody_else = SomebodyElse(online, task);
  Takers takers;
  for (const Online& one : online) {
    if (!CanTake(one.worker->capabilities, needs)) {
      continue;
    }
    if (!one.takes_work) {
      ++takers.cordoned;
      continue;
    }
    ++takers.eligible;
    takers.benched += one.benched ? 1 : 0;
    if (somebody_else && Contains(task.spoilt_by, one.worker->name)) {
      ++takers.spoilt;
      continue;
    }
    const std::int64_t gpu_memory = one.worker->capabilities.gpu_memory_bytes;
    takers.free += HasRoom(one, needs) ? 1 : 0;
    takers.small += HasRoom(one, needs) && gpu_memory > 0 && gpu_memory < wanted_gpu_memory ? 1 : 0;
    takers.larger = takers.larger || gpu_memory >= wanted_gpu_memory;
    takers.full += one.free_slots > 0 && !HasRoom(one, needs) ? 1 : 0;
    takers.slots += one.benched ? 0 : one.worker->capabilities.slots;
  }
  return takers;
}

std::string Quantity(const std::string& property, const std::string& text) {
  std::int64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (!property.ends_with("_bytes") || error != std::errc() || end != text.data() + text.size()) {
    return text;
  }
  constexpr std::int64_t kGiB = 1LL << 30;
  if (bytes < kGiB) {
    return text + " bytes";
  }
  const std::int64_t tenths = bytes % kGiB * 10 / kGiB;
  return std::to_string(bytes / kGiB) + "." + std::to_string(tenths) + " GiB";
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : ", ") + text;
  }
  return all;
}

std::string Workers(std::int32_t count) {
  return std::to_string(count) + (count == 1 ? " worker" : " workers");
}

Pending NoWorker(const PendingTask& task, std::span<const Online> online, const Takers& takers) {
  Pending pending;
  if (takers.cordoned > 0) {
    pending.reason = PendingReason::kCordoned;
    pending.message = Workers(takers.cordoned) +
                      " could take it but get nothing new: cordoned or draining; `tyllm-client "
                      "workers` shows them";
    return pending;
  }
  pending.reason = PendingReason::kNoWorker;
  std::vector<const domain::Capabilities*> offers;
  for (const Online& one : online) {
    offers.push_back(&one.worker->capabilities);
  }
  pending.shortfalls = FindShortfalls(task.lane.needs, offers);
  const std::string kind(domain::kTaskKindNames.Name(task.lane.needs.kind));
  if (offers.empty()) {
    pending.message = "no worker is online";
  } else if (pending.shortfalls.empty()) {
    pending.message = "none of " + Workers(static_cast<std::int32_t>(offers.size())) +
                      " takes tasks of the kind " + kind;
  } else {
    std::vector<std::string> lacks;
    lacks.reserve(pending.shortfalls.size());
    for (const domain::Shortfall& one : pending.shortfalls) {
      lacks.push_back(InWords(one));
    }
    pending.message = "none of " + Workers(static_cast<std::int32_t>(offers.size())) +
                      " can take it: " + Joined(lacks);
  }
  pending.message += kWaitsForWorker;
  return pending;
}

struct Why {
  PendingReason reason;
  std::string message;
};

std::string WhyBusy(const Takers& takers) {
  std::vector<std::string> among;
  if (takers.full > 0) {
    among.push_back(std::to_string(takers.full) +
                    " with a free slot, but not with as much memory or CPUs as it asks for beside "
                    "their tasks");
  }
  if (takers.spoilt > 0) {
    among.push_back(std::to_string(takers.spoilt) +
                    " had it and failed it by the machine or was lost: it is left to another");
  }
  if (takers.benched > 0) {
    among.push_back(std::to_string(takers.benched) +
                    " benched, as the machine failed one task after another; `tyllm-client "
                    "workers` shows it");
  }
  return Workers(takers.eligible) + " could take it, all are busy" +
         (among.empty() ? "" : " (" + Joined(among) + ")");
}

Why WhyNow(const PendingTask& task, const Takers& takers, const Shares& shares, std::int64_t now) {
  const std::string ahead = std::to_string(task.ahead) + " tasks are served before it";
  if (task.state == domain::TaskState::kWaiting) {
    return {PendingReason::kInputs, "waits for the output of " + Joined(task.waits_for)};
  }
  if (task.joined) {
    return {PendingReason::kJoined,
            task.joined->ToString() + " does the same; its result will be used"};
  }
  if (task.not_before_ms > now) {
    const std::int64_t seconds = (task.not_before_ms - now + 999) / 1000;
    return {PendingReason::kBackoff,
            "its last attempt failed; the next one in " + std::to_string(seconds) + " s"};
  }
  if (AtRunningLimit(shares, task.lane.project)) {
    return {PendingReason::kQuota,
            "project '" + task.lane.project + "' runs " +
                std::to_string(shares.projects.at(task.lane.project).running_tasks) +
                " tasks, as many as it may at a time"};
  }
  if (takers.free == 0) {
    return {PendingReason::kBusy, WhyBusy(takers) + "; " + ahead};
  }
  if (takers.small == takers.free && takers.larger) {
    return {PendingReason::kBusy,
            "tasks like it wanted a GPU of " +
                Quantity("gpu_memory_bytes", std::to_string(task.wanted_gpu_memory)) +
                " of late; workers that have as much are busy, " + Workers(takers.free) +
                " with less would be free: it is left to a larger one for up to an hour"};
  }
  if (task.ahead > 0) {
    return {PendingReason::kTurn, ahead + ", by share of the project, priority and age"};
  }
  return {PendingReason::kStarting, "the next call of a free worker gets it"};
}

std::int64_t ExpectedWait(const PendingTask& task, const Takers& takers, const Why& why,
                          std::int64_t now) {
  if (why.reason == PendingReason::kStarting) {
    return 0;
  }
  if (why.reason == PendingReason::kBackoff) {
    return task.not_before_ms - now;
  }
  const bool in_line = why.reason == PendingReason::kBusy || why.reason == PendingReason::kTurn;
  if (!in_line || !task.usual_run_ms || takers.slots == 0) {
    return -1;
  }
  return (task.ahead + 1) * *task.usual_run_ms / takers.slots;
}

}  // namespace

Pending ExplainPending(const PendingTask& task, std::span<const Online> online,
                       const Shares& shares, std::int64_t now) {
  const Takers takers = Count(online, task);
  if (takers.eligible == 0) {
    return NoWorker(task, online, takers);
  }
  const Why why = WhyNow(task, takers, shares, now);
  Pending pending;
  pending.reason = why.reason;
  pending.message = why.message;
  pending.position = task.ahead;
  pending.eligible_workers = takers.eligible;
  pending.free_workers = takers.free;
  pending.joined = task.joined;
  pending.not_before_unix_ms = task.not_before_ms > now ? task.not_before_ms : 0;
  pending.expected_wait_ms = ExpectedWait(task, takers, why, now);
  return pending;
}

std::string InWords(const domain::Shortfall& shortfall) {
  const std::string& property = shortfall.asked.property;
  if (property == kCompilerToChoose) {
    return "which of their compilers makes it is chosen in a moment";
  }
  const bool present = shortfall.asked.rule == domain::MatchRule::kPresent;
  const char* const rule = shortfall.asked.rule == domain::MatchRule::kMinimum
                               ? " is to be at least "
                           : present ? " is to be there"
                                     : " is to be ";
  const std::string best = shortfall.best.empty()
                               ? "no worker states it"
                               : "the best on offer is " + Quantity(property, shortfall.best);
  return property + rule + Quantity(property, shortfall.asked.value) + ", " + best;
}

}  // namespace tyllm::server::sched
