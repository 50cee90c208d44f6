// SPDX-License-Identifier: Apache-2.0
#include "server/core/assign_work.h"

#include <algorithm>
#include <deque>
#include <map>

#include "server/sched/past_attempts.h"

namespace tyllm::server::core {

namespace {

/// Of a lane: those behind are behind in age only, and have their turn when these are gone.
constexpr std::int64_t kLookedAt = 32;

/// For so long a task that waits for room on a worker is overtaken by smaller ones. Then the worker
/// gets nothing else until there is room.
constexpr std::chrono::minutes kOvertaken{10};

// Lanes whose tasks the worker can take, at least when it runs nothing else.
Result<std::vector<sched::Lane>> LanesFor(store::Queue& queue, const sched::WorkerState& worker,
                                          std::int64_t now) {
  TYLLM_ASSIGN(std::vector<sched::Lane> lanes, queue.Lanes(now));
  std::erase_if(lanes, [&](const sched::Lane& lane) {
    return sched::AwaitsCompiler(lane.key.needs) ||
           !sched::CanTake(worker.capabilities, lane.key.needs);
  });
  return lanes;
}

/// Gives one task after another.
class Giving {
 public:
  Giving(store::Queue& queue, FreeWorker& worker, const sched::Policy& policy, std::int64_t now)
      : queue_(queue), worker_(worker), policy_(policy), now_(now) {}

  Result<std::vector<Given>> Run() {
    TYLLM_ASSIGN(const std::vector<sched::Lane> lanes,
                 LanesFor(queue_, *worker_.asking.worker, now_));
    if (lanes.empty()) {
      return std::vector<Given>();
    }
    TYLLM_ASSIGN(shares_, queue_.Shares(now_));
    while (static_cast<int>(given_.size()) < worker_.free_slots) {
      TYLLM_ASSIGN(const bool given, GiveOne(lanes));
      if (!given) {
        break;
      }
    }
    return std::move(given_);
  }

 private:
  bool HasRoomFor(const sched::Needs& needs) const {
    return sched::HasRoom(worker_.asking.worker->capabilities, worker_.used, needs);
  }

  Result<bool> GiveOne(const std::vector<sched::Lane>& lanes) {
    for (const std::size_t i :
         sched::FairOrder(lanes, shares_, worker_.slots, now_, policy_.fairness)) {
      if (!HasRoomFor(lanes[i].key.needs)) {
        TYLLM_ASSIGN(const bool held, IsKeptFor(lanes[i]));
        if (held) {
          return false;
        }
        continue;
      }
      TYLLM_ASSIGN(const bool given, GiveFrom(lanes[i]));
      if (given) {
        return true;
      }
    }
    return false;
  }

  // Whether something in the lane has waited too long for room; it may have been given meanwhile.
  Result<bool> IsKeptFor(const sched::Lane& lane) {
    if (now_ - lane.oldest_queued_ms <= Milliseconds(kOvertaken).count()) {
      return false;
    }
    TYLLM_ASSIGN(const auto waiting, queue_.Candidates(lane.id, now_, 1));
    return !waiting.empty();
  }

  // The first that is for this worker is taken, so others are looked at only if it is not.
  Result<bool> GiveFrom(const sched::Lane& lane) {
    TYLLM_ASSIGN(std::deque<sched::Candidate>* const ahead, Ahead(lane));
    if (ahead->empty()) {
      return false;
    }
    const sched::Candidate first = ahead->front();
    ahead->pop_front();
    TYLLM_ASSIGN(const bool given, GiveOneOf({first}, lane));
    if (given) {
      return true;
    }
    ahead->clear();
    TYLLM_ASSIGN(const std::vector<sched::Candidate> candidates, Read(lane, kLookedAt));
    return candidates.size() > 1 ? GiveOneOf(candidates, lane) : Result<bool>(false);
  }

  // With what the queue does not tell. Few tasks have failed.
  Result<std::vector<sched::Candidate>> Read(const sched::Lane& lane, std::int64_t limit) {
    TYLLM_ASSIGN(std::vector<sched::Candidate> read, queue_.Candidates(lane.id, now_, limit));
    for (sched::Candidate& task : read) {
      if (!task.failed_on.empty()) {
        TYLLM_ASSIGN(const auto attempts, queue_.Attempts(task.id));
        task.spoilt_by = sched::SpoiltBy(attempts);
      }
    }
    return read;
  }

  // The next of a lane, as many as there are free slots: they are read together.
  Result<std::deque<sched::Candidate>*> Ahead(const sched::Lane& lane) {
    std::deque<sched::Candidate>& ahead = ahead_[lane.id];
    if (ahead.empty()) {
      const auto free = worker_.free_slots - static_cast<std::int64_t>(given_.size());
      TYLLM_ASSIGN(const std::vector<sched::Candidate> read, Read(lane, std::min(free, kLookedAt)));
      ahead.assign(read.begin(), read.end());
    }
    return &ahead;
  }

  // What has the same result waits for it now, in any lane. Whose result nobody may share is not
  // known here.
  void DropLike(const sched::Candidate& given) {
    if (!given.shared_key) {
      ahead_.clear();
    }
    for (auto& [lane, ahead] : ahead_) {
      std::erase_if(
          ahead, [&](const sched::Candidate& one) { return one.shared_key == given.shared_key; });
    }
  }

  // Hardly ever is there anything to know of a task's size.
  Result<bool> IsLeftToLargerGpu(const sched::Candidate& task, const sched::Needs& needs) {
    if (worker_.too_large.empty()) {
      return false;
    }
    TYLLM_ASSIGN(const store::TaskRecord record, queue_.GetTask(task.id));
    const auto wanted = worker_.too_large.find(sched::SizeClassOf(record.spec));
    return wanted != worker_.too_large.end() &&
           sched::IsLeftToLargerGpu(worker_.asking, needs, task, wanted->second, now_, policy_);
  }

  // Sizes matter where another worker may have some of several inputs, for as long as a task waits
  // for it.
  Status Weigh(std::vector<sched::Candidate>& candidates, const std::string& project) {
    if (worker_.asking.online->size() < 2) {
      return OkStatus();
    }
    for (sched::Candidate& task : candidates) {
      if (task.inputs.size() < 2 || now_ - task.due_ms >= policy_.placement_wait.count()) {
        continue;
      }
      for (const BlobId& tree : task.inputs) {
        TYLLM_ASSIGN(const std::int64_t bytes, queue_.TreeBytes(project, tree));
        task.input_bytes.push_back(bytes);
      }
    }
    return OkStatus();
  }

  Result<bool> GiveOneOf(std::vector<sched::Candidate> candidates, const sched::Lane& lane) {
    TYLLM_TRY(Weigh(candidates, lane.key.project));
    auto picked = sched::Pick(worker_.asking, lane.key.needs, candidates, now_, policy_);
    while (picked) {
      TYLLM_ASSIGN(const bool left, IsLeftToLargerGpu(candidates[*picked], lane.key.needs));
      if (!left) {
        break;
      }
      candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(*picked));
      picked = sched::Pick(worker_.asking, lane.key.needs, candidates, now_, policy_);
    }
    if (!picked) {
      return false;
    }
    const domain::TaskId task = candidates[*picked].id;
    const sched::Reasons why = ReasonsFor(lane, candidates[*picked]);
    TYLLM_ASSIGN(store::Lease lease, queue_.StartAttempt(task, worker_.session, now_, why));
    DropLike(candidates[*picked]);
    const domain::Resources resources = sched::ResourcesOf(lane.key.needs);
    worker_.used = sched::Sum(worker_.used, resources);
    const bool missed = candidates[*picked].shared_key && lease.id.attempt == 1;
    given_.push_back({std::move(lease), resources, why.waited_ms, missed});
    worker_.asking.held.push_back(task);
    const auto& capabilities = worker_.asking.worker->capabilities;
    sched::NoteStart(shares_, lane.key, sched::RateOf(capabilities, policy_.fairness));
    return true;
  }

  sched::Reasons ReasonsFor(const sched::Lane& lane, const sched::Candidate& task) const {
    const auto& trees = worker_.asking.worker->trees;
    const auto share = shares_.projects.find(lane.key.project);
    const double charge =
        share == shares_.projects.end() ? 0 : sched::ChargeOf(share->second, policy_.fairness);
    return {.lane = lane.id,
            .charge = static_cast<std::int64_t>(charge),
            .waited_ms = std::max<std::int64_t>(0, now_ - task.due_ms),
            .inputs = std::ssize(task.inputs),
            .inputs_there = std::count_if(task.inputs.begin(), task.inputs.end(),
                                          [&](const BlobId& tree) { return trees.contains(tree); }),
            .others = std::ssize(*worker_.asking.online) - 1};
  }

  store::Queue& queue_;
  FreeWorker& worker_;
  const sched::Policy& policy_;
  const std::int64_t now_;
  sched::Shares shares_;
  std::vector<Given> given_;
  std::map<std::int64_t, std::deque<sched::Candidate>> ahead_;  ///< by lane
};

}  // namespace

Result<std::vector<Given>> AssignWork(store::Queue& queue, FreeWorker worker,
                                      const sched::Policy& policy, std::int64_t now) {
  return Giving(queue, worker, policy, now).Run();
}

}  // namespace tyllm::server::core
