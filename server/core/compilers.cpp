// SPDX-License-Identifier: Apache-2.0
#include "server/core/compilers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "common/domain/tools.h"
#include "server/core/queue_reading.h"
#include "server/sched/compiler_choice.h"

namespace tyllm::server::core {

namespace {

using boost::asio::awaitable;
using domain::Capabilities;
using Offers = std::vector<const Capabilities*>;

/// Of a lane; others have their turn when these are in another.
constexpr std::int64_t kLookedAt = 64;

Offers OffersOf(const std::vector<sched::Online>& online, bool only_taking) {
  Offers offers;
  for (const sched::Online& one : online) {
    if (one.takes_work || !only_taking) {
      offers.push_back(&one.worker->capabilities);
    }
  }
  return offers;
}

/// Who could make programs, and who is there besides.
struct Present {
  Offers taking;  ///< take work now
  Offers there;   ///< all; what one of them has is not gone
};

bool CanTake(const Offers& offers, const sched::Needs& needs) {
  return std::ranges::any_of(
      offers, [&](const Capabilities* worker) { return sched::CanTake(*worker, needs); });
}

/// A job of which a task waits for a compiler that nobody has.
struct Lacking {
  domain::JobId job;
  domain::JobSpec spec;
  domain::PlannedTask task;
  std::vector<domain::TaskId> queued;  ///< such tasks
  bool runs = false;                   ///< one that makes programs
};

bool IsTool(const domain::Requirement& one) {
  return one.property.starts_with(domain::kToolProperty) &&
         domain::IsCompilerTool(one.property.substr(domain::kToolProperty.size()));
}

// Whether it may be for want of the compiler alone that nobody takes what is in the lane, and
// somebody has another.
bool MayLackCompiler(const sched::Needs& needs, const Present& present) {
  if (needs.kind != domain::TaskKind::kCompileDie && needs.kind != domain::TaskKind::kAssemble) {
    return false;
  }
  sched::Needs others = needs;
  const auto tool = std::ranges::find_if(needs.requirements, IsTool);
  std::erase_if(others.requirements, [](const domain::Requirement& one) {
    return one.property == sched::kCompilerToChoose || IsTool(one);
  });
  if (tool != needs.requirements.end()) {
    others.requirements.push_back({tool->property, domain::MatchRule::kPresent, ""});
  }
  return (sched::AwaitsCompiler(needs) || !CanTake(present.there, needs)) &&
         CanTake(present.taking, others);
}

Result<Lacking> Read(store::Queue& queue, domain::JobId job) {
  TYLLM_ASSIGN(const domain::JobView view, queue.GetJob(job));
  Lacking lacking{.job = job, .spec = view.spec, .task = {}, .queued = {}};
  for (const domain::TaskView& task : view.tasks) {
    TYLLM_ASSIGN(const store::TaskRecord record, queue.GetTask(task.id));
    if (!domain::RunsCompiler(record.spec)) {
      continue;
    }
    lacking.task = {.label = task.label, .spec = record.spec, .inputs = {}};
    lacking.runs = lacking.runs || IsHeld(task.state);
    if (task.state == domain::TaskState::kQueued) {
      lacking.queued.push_back(task.id);
    }
  }
  return lacking;
}

Result<std::vector<Lacking>> FindLacking(store::Queue& queue, const Present& present,
                                         std::int64_t now) {
  std::map<domain::JobId, Lacking> found;
  TYLLM_ASSIGN(const std::vector<sched::Lane> lanes, queue.Lanes(now));
  for (const sched::Lane& lane : lanes) {
    if (!MayLackCompiler(lane.key.needs, present)) {
      continue;
    }
    TYLLM_ASSIGN(const auto candidates, queue.Candidates(lane.id, now, kLookedAt));
    for (const sched::Candidate& one : candidates) {
      TYLLM_ASSIGN(const store::TaskRecord record, queue.GetTask(one.id));
      if (domain::RunsCompiler(record.spec) && !found.contains(record.job)) {
        TYLLM_ASSIGN(found[record.job], Read(queue, record.job));
      }
    }
  }
  std::vector<Lacking> all;
  for (auto& [job, lacking] : found) {
    all.push_back(std::move(lacking));
  }
  return all;
}

domain::Failure Gone(const Lacking& job, const std::string& other) {
  const std::string& first = job.task.spec.compiler;
  return {.blame = domain::Blame::kFarm,
          .reason = "COMPILER_GONE",
          .message = "other programs of the job were made with " +
                     (first.empty() ? "a compiler that the farm has not noted" : first) +
                     ", which no worker has any more; the farm's is now " + other +
                     ", and programs of two compilers do not go together",
          .stage = {},
          .retryable = false,
          .log_tail = {},
          .action = "`tyllm-client retry " + job.job.ToString() +
                    "` makes all programs with the farm's compiler and keeps the rest; or have a "
                    "worker with the other one"};
}

/// Goes through the jobs that lack a compiler.
class Mending {
 public:
  Mending(Farm& farm, const Offers& offers) : farm_(farm), offers_(offers) {}

  awaitable<Status> Run(const std::vector<Lacking>& jobs) {
    std::map<domain::JobId, Clock::Steady> waiting;
    std::swap(waiting, farm_.without_compiler);
    for (const Lacking& job : jobs) {
      const std::string choice = sched::ChooseCompiler(job.task, job.spec.requirements, offers_);
      if (choice.empty() || choice == job.task.spec.compiler || job.runs) {
        continue;
      }
      const auto since = waiting.find(job.job);
      const Clock::Steady now = farm_.parts.clock.Now();
      farm_.without_compiler[job.job] = since == waiting.end() ? now : since->second;
      TYLLM_CO_TRY(co_await Mend(job, choice));
    }
    co_return OkStatus();
  }

 private:
  awaitable<Status> Mend(const Lacking& job, const std::string& choice) {
    const std::int64_t now = farm_.parts.clock.UnixMillis();
    const bool too_long = farm_.parts.clock.Now() - farm_.without_compiler[job.job] >=
                          farm_.parts.limits.policy.compiler_wait;
    TYLLM_CO_ASSIGN(const bool changed,
                    co_await farm_.parts.store.Run([&](store::Queue& queue) -> Result<bool> {
                      TYLLM_ASSIGN(const bool chosen, queue.SetCompiler(job.job, choice, now));
                      return !chosen && too_long ? Fail(queue, job, choice, now) : chosen;
                    }));
    if (changed) {
      farm_.without_compiler.erase(job.job);
      farm_.signals.Notify(Topic::Of(job.job));
      farm_.signals.Notify(Topic::Results());
      farm_.signals.Notify(Topic::Work());
    }
    co_return OkStatus();
  }

  static Result<bool> Fail(store::Queue& queue, const Lacking& job, const std::string& choice,
                           std::int64_t now) {
    bool failed = false;
    for (const domain::TaskId task : job.queued) {
      const Status status = queue.FailQueued(task, Gone(job, choice), now);
      if (status.code() != StatusCode::kAborted && status.code() != StatusCode::kNotFound) {
        TYLLM_TRY(status);
        failed = true;
      }
    }
    return failed;
  }

  Farm& farm_;
  const Offers& offers_;
};

}  // namespace

awaitable<Status> ChooseCompiler(Farm& farm, const domain::JobSpec& spec, domain::JobPlan& plan,
                                 std::string rather) {
  const domain::PlannedTask* const first = sched::FirstCompilation(plan);
  if (first == nullptr) {
    co_return OkStatus();
  }
  const std::vector<sched::Online> online = OnlineNow(farm);
  std::string chosen;
  for (const bool only_taking : {true, false}) {
    if (chosen.empty()) {
      chosen =
          sched::ChooseCompiler(*first, spec.requirements, OffersOf(online, only_taking), rather);
    }
  }
  if (chosen.empty()) {
    TYLLM_CO_ASSIGN(
        const std::vector<store::WorkerRecord> workers,
        co_await farm.parts.store.Look([](store::Queue& queue) { return queue.ListWorkers(); }));
    Offers offers;
    for (const store::WorkerRecord& worker : workers) {
      offers.push_back(&worker.capabilities);
    }
    chosen = sched::ChooseCompiler(*first, spec.requirements, offers, rather);
  }
  domain::SetCompiler(plan, chosen);
  co_return OkStatus();
}

awaitable<Status> MendCompilers(Farm& farm) {
  const std::vector<sched::Online> online = OnlineNow(farm);
  const Present present{OffersOf(online, true), OffersOf(online, false)};
  if (present.taking.empty()) {
    farm.without_compiler.clear();
    co_return OkStatus();
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_ASSIGN(const std::vector<Lacking> jobs,
                  co_await farm.parts.store.Look(
                      [&](store::Queue& queue) { return FindLacking(queue, present, now); }));
  co_return co_await Mending(farm, present.taking).Run(jobs);
}

}  // namespace tyllm::server::core
