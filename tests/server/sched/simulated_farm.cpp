// SPDX-License-Identifier: Apache-2.0
#include "tests/server/sched/simulated_farm.h"

#include <algorithm>

namespace tyllm::server::sched {

namespace {

constexpr std::size_t kLookedAt = 32;

}  // namespace

void SimulatedFarm::AddWorker(domain::Capabilities capabilities) {
  auto state = std::make_shared<WorkerState>();
  state->name = "w" + std::to_string(workers_.size());
  state->capabilities = std::move(capabilities);
  workers_.push_back({.state = std::move(state)});
}

void SimulatedFarm::AddBrokenWorker(domain::Capabilities capabilities) {
  AddWorker(std::move(capabilities));
  workers_.back().broken = true;
}

int SimulatedFarm::FreeSlots(const Worker& worker) const {
  return FreeOnTrial(worker.trouble, worker.state->capabilities.slots - worker.running,
                     worker.running == 0, Now(), policy_);
}

void SimulatedFarm::SetProject(const std::string& name, double weight,
                               std::optional<std::int64_t> max_running) {
  projects_[name].weight = weight;
  projects_[name].max_running_tasks = max_running;
  most_running_[name] = 0;
}

void SimulatedFarm::At(std::int64_t time, std::function<void()> happen) {
  events_.push({time, ++event_number_, std::move(happen)});
}

void SimulatedFarm::Run() {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    Waiting waiting{.job = i, .candidate = {}, .spent = {}};
    waiting.candidate.id = domain::TaskId{static_cast<std::int64_t>(i) + 1};
    At(jobs_[i].arrives_ms, [this, waiting] { Enqueue(waiting); });
  }
  while (!events_.empty()) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at_ms;
    event.happen();
    Dispatch();
  }
}

void SimulatedFarm::Enqueue(Waiting waiting) {
  const LaneKey& key = jobs_[waiting.job].lane;
  auto queue = std::find_if(queues_.begin(), queues_.end(),
                            [&](const Queue& one) { return one.key == key; });
  if (queue == queues_.end()) {
    queue = queues_.insert(queue, {key, {}});
  }
  waiting.candidate.due_ms = std::max(waiting.candidate.due_ms, now_);
  const std::int64_t due = waiting.candidate.due_ms;
  // First in, first out by job, also after a failure.
  const auto place = std::find_if(queue->tasks.begin(), queue->tasks.end(),
                                  [&](const Waiting& other) { return other.job > waiting.job; });
  queue->tasks.insert(place, std::move(waiting));
  At(std::max(due, now_ + policy_.placement_wait.count()), [] {});
}

std::vector<Lane> SimulatedFarm::Lanes() const {
  std::vector<Lane> lanes;
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    const auto& tasks = queues_[i].tasks;
    const auto oldest = std::find_if(tasks.begin(), tasks.end(), [&](const Waiting& one) {
      return one.candidate.due_ms <= now_;
    });
    if (oldest != tasks.end()) {
      lanes.push_back({.id = static_cast<std::int64_t>(i),
                       .key = queues_[i].key,
                       .oldest_job = {static_cast<std::int64_t>(oldest->job) + 1},
                       .oldest_queued_ms = jobs_[oldest->job].arrives_ms});
    }
  }
  return lanes;
}

Shares SimulatedFarm::SharesNow() const {
  Shares shares;
  for (const auto& [name, share] : projects_) {
    Share& now = shares.projects[name] = share;
    const auto since = used_at_.find(name);
    const std::int64_t age = since == used_at_.end() ? 0 : now_ - since->second;
    now.used_seconds = Decayed(share.used_seconds, Milliseconds(age), policy_.fairness);
  }
  for (const Use& use : running_) {
    Share& share = shares.projects[use.project];
    ++share.running_tasks;
    share.running_rate += use.rate;
    share.running_seconds += static_cast<double>(now_ - use.from_ms) / 1000 * use.rate;
    shares.interactive_tasks += use.interactive ? 1 : 0;
  }
  return shares;
}

std::vector<Candidate> SimulatedFarm::DueIn(const Queue& queue) const {
  std::vector<Candidate> due;
  for (const Waiting& waiting : queue.tasks) {
    if (due.size() == kLookedAt) {
      break;
    }
    due.push_back(waiting.candidate);
  }
  std::erase_if(due, [&](const Candidate& one) { return one.due_ms > now_; });
  return due;
}

bool SimulatedFarm::Give(std::size_t index) {
  Slots slots;
  std::vector<Online> online;
  for (const Worker& worker : workers_) {
    slots.total += worker.state->capabilities.slots;
    online.push_back({.worker = worker.state,
                      .free_slots = FreeSlots(worker),
                      .used = {},
                      .benched = IsBenched(worker.trouble, policy_)});
  }
  const Asking asking{
      workers_[index].state, {}, std::make_shared<const std::vector<Online>>(std::move(online))};
  const std::vector<Lane> lanes = Lanes();
  for (const std::size_t i : FairOrder(lanes, SharesNow(), slots, now_, policy_.fairness)) {
    Queue& queue = queues_[static_cast<std::size_t>(lanes[i].id)];
    if (!CanTake(asking.worker->capabilities, queue.key.needs)) {
      continue;
    }
    const std::vector<Candidate> due = DueIn(queue);
    if (const auto picked = Pick(asking, queue.key.needs, due, now_, policy_)) {
      const auto task =
          std::find_if(queue.tasks.begin(), queue.tasks.end(),
                       [&](const Waiting& one) { return one.candidate.id == due[*picked].id; });
      Start(index, queue, static_cast<std::size_t>(task - queue.tasks.begin()));
      return true;
    }
  }
  return false;
}

void SimulatedFarm::Dispatch() {
  std::vector<std::size_t> order(workers_.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::shuffle(order.begin(), order.end(), random_);
  for (const std::size_t i : order) {
    while (FreeSlots(workers_[i]) > 0 && Give(i)) {
    }
  }
  CheckNobodyIdles();
}

void SimulatedFarm::Start(std::size_t index, Queue& queue, std::size_t place) {
  Waiting task = std::move(queue.tasks[place]);
  queue.tasks.erase(queue.tasks.begin() + static_cast<std::ptrdiff_t>(place));
  SimulatedJob& job = jobs_[task.job];
  job.started_ms = job.started_ms < 0 ? now_ : job.started_ms;
  ++job.attempts;
  ++workers_[index].running;
  const std::int64_t runs_ms = workers_[index].broken ? 1000 : job.runs_ms;
  const double rate = RateOf(workers_[index].state->capabilities, policy_.fairness);
  running_.push_back({queue.key.project, queue.key.job_class == domain::JobClass::kInteractive,
                      now_, now_ + runs_ms, rate});
  const auto count = std::count_if(running_.begin(), running_.end(), [&](const Use& use) {
    return use.project == queue.key.project;
  });
  most_running_[queue.key.project] =
      std::max<std::int64_t>(most_running_[queue.key.project], count);
  const auto run = std::prev(running_.end());
  At(now_ + runs_ms, [this, index, task, run] { End(index, task, run); });
}

void SimulatedFarm::End(std::size_t index, Waiting task, std::list<Use>::iterator run) {
  --workers_[index].running;
  Share& share = projects_[run->project];
  share.used_seconds =
      Decayed(share.used_seconds, Milliseconds(now_ - used_at_[run->project]), policy_.fairness) +
      static_cast<double>(now_ - run->from_ms) / 1000 * run->rate;
  used_at_[run->project] = now_;
  past_.push_back(*run);
  running_.erase(run);
  SimulatedJob& job = jobs_[task.job];
  const double chance = std::uniform_real_distribution<double>(0, 1)(random_);
  Worker& worker = workers_[index];
  if (chance >= chances_.crash + chances_.loss && !worker.broken) {
    job.ended_ms = now_;
    worker.trouble = {};
    return;
  }
  const bool lost = chance < chances_.loss && !worker.broken;
  const Verdict verdict = Judge(Describe(task, worker, lost), policy_);
  if (!verdict.again) {
    job.failed = true;
    job.ended_ms = now_;
    return;
  }
  const std::string& name = worker.state->name;
  (lost ? task.candidate.lost_by : task.candidate.failed_on).push_back(name);
  if (worker.broken) {
    task.candidate.spoilt_by.push_back(name);
    NoteMachineFailure(worker.trouble, task.candidate.id, "WORKER_UNFIT", Now(), policy_);
    At(now_ + policy_.longest_bench.count(), [] {});
  }
  task.spent = verdict.spent;
  task.candidate.due_ms = now_ + verdict.delay.count();
  Enqueue(std::move(task));
}

EndedAttempt SimulatedFarm::Describe(const Waiting& task, const Worker& worker, bool lost) const {
  const SimulatedJob& job = jobs_[task.job];
  EndedAttempt ended;
  ended.id = {task.candidate.id, job.attempts};
  ended.kind = job.lane.needs.kind;
  ended.worker = worker.state->name;
  ended.ending = lost ? Ending::kLeaseLost : Ending::kFailed;
  if (!lost) {
    ended.reported =
        domain::Failure{.blame = worker.broken ? domain::Blame::kWorker : domain::Blame::kToolchain,
                        .reason = worker.broken ? "WORKER_UNFIT" : "CRASHED",
                        .retryable = true};
  }
  ended.spent = task.spent;
  ended.lost_by = task.candidate.lost_by;
  ended.spoilt_by = task.candidate.spoilt_by;
  return ended;
}

void SimulatedFarm::CheckNobodyIdles() {
  const Shares shares = SharesNow();
  for (const Queue& queue : queues_) {
    if (queue.tasks.empty() || AtRunningLimit(shares, queue.key.project)) {
      continue;
    }
    const Candidate& oldest = queue.tasks.front().candidate;
    const bool may_still_wait = now_ - oldest.due_ms < policy_.placement_wait.count();
    const bool idle = std::any_of(workers_.begin(), workers_.end(), [&](const Worker& worker) {
      return FreeSlots(worker) > 0 && CanTake(worker.state->capabilities, queue.key.needs) &&
             !HasSpoilt(worker.state->name, oldest);
    });
    idle_faults_ += idle && !may_still_wait ? 1 : 0;
  }
}

double SimulatedFarm::DeviceSeconds(const std::string& project, std::int64_t from_ms,
                                    std::int64_t to_ms) const {
  double seconds = 0;
  for (const Use& use : past_) {
    const std::int64_t inside = std::min(to_ms, use.to_ms) - std::max(from_ms, use.from_ms);
    if (use.project == project && inside > 0) {
      seconds += static_cast<double>(inside) / 1000 * use.rate;
    }
  }
  return seconds;
}

}  // namespace tyllm::server::sched
