// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/executor.h"

#include <sched.h>

#include <algorithm>

#include "worker/simulator/core_claims.h"
#include "worker/simulator/work_barrier.h"
#include "worker/simulator/work_shares.h"

namespace tyllm::simulator {

namespace {

/// Shares a worker and phase, at most: enough for those who are early to help.
constexpr std::int64_t kSharesAWorker = 128;

int UsableCores() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int WorkersFor(std::int64_t dies, std::int64_t threads) {
  const std::int64_t wanted = threads > 0 ? threads : UsableCores();
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, dies * die::kMaxParts));
}

/// How many shares each of `dies` makes of a phase.
std::uint32_t SharesOf(const SegmentEnd& segment, std::size_t phase, std::int64_t tokens,
                       std::int64_t dies, std::int64_t workers) {
  std::int64_t most = segment.shares.empty() ? die::kMaxParts : segment.shares[phase];
  if (most == die::kSharesOfTokens) {
    most = std::min<std::int64_t>(tokens, die::kMaxParts);
  }
  const std::int64_t wanted = kSharesAWorker * workers / dies;
  return static_cast<std::uint32_t>(
      workers == 1 ? 1
                   : std::clamp<std::int64_t>(std::min(wanted, (most + dies - 1) / dies), 1, most));
}

/// This worker's slice of the sum of a group's buffers, into each of them.
void ReduceSlice(std::span<DieProgram* const> dies, std::size_t segment, std::int64_t count,
                 std::int64_t worker, std::int64_t workers) {
  const std::int64_t begin = count * worker / workers;
  const std::int64_t end = count * (worker + 1) / workers;
  float* const first = dies.front()->CollectiveBuffer(segment);
  for (DieProgram* const die : dies.subspan(1)) {
    const float* const other = die->CollectiveBuffer(segment);
    for (std::int64_t i = begin; i < end; ++i) {
      first[i] += other[i];
    }
  }
  for (DieProgram* const die : dies.subspan(1)) {
    std::copy(first + begin, first + end, die->CollectiveBuffer(segment) + begin);
  }
}

/// The same in every group of dies.
void AllReduceSlice(std::span<DieProgram* const> dies, std::size_t group, std::size_t segment,
                    std::int64_t count, std::int64_t worker, std::int64_t workers) {
  for (std::size_t first = 0; first < dies.size(); first += group) {
    ReduceSlice(dies.subspan(first, std::min(group, dies.size() - first)), segment, count, worker,
                workers);
  }
}

}  // namespace

/// One run through all segments, as every worker sees it.
class Executor::Pass {
 public:
  Pass(std::span<DieProgram* const> dies, std::int64_t tokens, std::int64_t workers,
       const SegmentObserver& observer, SegmentRange range, TaskLog* log, std::uint32_t call)
      : dies_(dies),
        tokens_(tokens),
        workers_(workers),
        observer_(observer),
        log_(log),
        call_(call),
        shares_(static_cast<std::uint32_t>(workers)),
        barrier_(static_cast<std::int32_t>(workers)) {
    const std::size_t end = std::min(range.end, dies_[0]->segments().size());
    for (std::size_t s = range.begin; s < end; ++s) {
      AddStops(s);
    }
  }

  void Work(std::int64_t worker) {
    if (workers_ > 1) {
      (void)cores_.Take();  // one that has to share is slower, not wrong
    }
    std::uint32_t round = 0;
    for (std::size_t stop = 0; stop < stops_.size();) {
      Do(worker, stops_[stop], ++round);
      std::size_t next = stop + 1;
      while (next < stops_.size() && stops_[next].tasks == 1) {
        ++next;
      }
      // What one worker does is done by the last one here: the others would only meet it again.
      barrier_.Arrive(
          [&] {
            Fetch(worker, next);
            for (std::size_t alone = stop + 1; alone < next; ++alone) {
              RunPart(worker, stops_[alone], 0, {});
            }
          },
          [&] { Fetch(worker, next); });
      stop = next;
    }
  }

 private:
  /// What is done between two meetings of the workers: `tasks` shares of a phase, `shares` of them
  /// a die; or, without tasks, what all workers do after a segment.
  struct Stop {
    std::size_t segment = 0;
    std::size_t phase = 0;  ///< or kSum, kObserve
    std::uint32_t shares = 0;
    std::uint32_t tasks = 0;
  };

  static constexpr std::size_t kSum = TaskSpan::kCollective;
  static constexpr std::size_t kObserve = kSum - 1;

  void AddStops(std::size_t segment) {
    const std::size_t phases = PhasesOf(segment);
    for (std::size_t phase = 0; phase < phases; ++phase) {
      const std::uint32_t shares = SharesOfPhase(segment, phase);
      stops_.push_back({segment, phase, shares, static_cast<std::uint32_t>(dies_.size()) * shares});
    }
    if (Sums(segment) && GroupOf(segment) > 1) {
      stops_.push_back({segment, kSum, 0, 0});
    }
    if (observer_) {
      stops_.push_back({segment, kObserve, 0, 0});  // the next segment changes what is observed
    }
  }

  bool Sums(std::size_t segment) const {
    return dies_[0]->segments()[segment].after == die::Collective::kAllReduceSum;
  }

  std::size_t GroupOf(std::size_t segment) const {
    const std::int64_t group = dies_[0]->segments()[segment].group;
    return group > 0 ? static_cast<std::size_t>(group) : dies_.size();
  }

  /// A die without heads has fewer phases than the others.
  std::size_t PhasesOf(std::size_t segment) const {
    std::uint32_t phases = 0;
    for (const DieProgram* const die : dies_) {
      phases = std::max(phases, die->segments()[segment].phases);
    }
    return phases;
  }

  /// Of the die that has most to do: others have less of the same.
  std::uint32_t SharesOfPhase(std::size_t segment, std::size_t phase) const {
    std::uint32_t most = 1;
    for (const DieProgram* const die : dies_) {
      const SegmentEnd& of_die = die->segments()[segment];
      if (phase < of_die.phases) {
        most = std::max(most, SharesOf(of_die, phase, tokens_, std::ssize(dies_), workers_));
      }
    }
    return most;
  }

  void Do(std::int64_t worker, const Stop& stop, std::uint32_t round) {
    const std::int64_t count = tokens_ * dies_[0]->segments()[stop.segment].columns;
    if (stop.phase == kSum) {
      Timed(worker, stop.segment, TaskSpan::kCollective, 0, [&] {
        AllReduceSlice(dies_, GroupOf(stop.segment), stop.segment, count, worker, workers_);
      });
    } else if (stop.phase == kObserve) {
      if (worker == 0) {
        observer_(stop.segment, Sums(stop.segment) ? std::span<const float>(
                                                         dies_[0]->CollectiveBuffer(stop.segment),
                                                         static_cast<std::size_t>(count))
                                                   : std::span<const float>());
      }
    } else {
      TakeShares(worker, stop, round);
    }
  }

  /// Takes stretches of the shares of all dies, one die after the other, until none are left.
  void TakeShares(std::int64_t worker, const Stop& stop, std::uint32_t round) {
    const auto own = static_cast<std::uint32_t>(worker);
    for (auto taken = shares_.Take(own, round, stop.tasks); !taken.empty();
         taken = shares_.Take(own, round, stop.tasks)) {
      while (!taken.empty()) {
        const std::uint32_t d = taken.begin / stop.shares;
        const std::uint32_t end = std::min(taken.end, (d + 1) * stop.shares);
        const die::Part part{taken.begin % stop.shares, stop.shares, end - taken.begin};
        taken.begin = end;
        RunPart(worker, stop, d, part);
      }
    }
  }

  void RunPart(std::int64_t worker, const Stop& stop, std::uint32_t d, die::Part part) {
    if (stop.phase < dies_[d]->segments()[stop.segment].phases) {
      Timed(worker, stop.segment, static_cast<std::uint32_t>(stop.phase), d,
            [&] { dies_[d]->Run(stop.segment, stop.phase, part); });
    }
  }

  /// Asks for what this worker will begin with at a stop.
  void Fetch(std::int64_t worker, std::size_t at) {
    if (at == stops_.size() || stops_[at].tasks == 0) {
      return;
    }
    const Stop& stop = stops_[at];
    const auto own = shares_.Own(static_cast<std::uint32_t>(worker), stop.tasks);
    const std::uint32_t d = own.begin / stop.shares;
    const std::uint32_t end = std::min(own.end, (d + 1) * stop.shares);
    if (!own.empty() && stop.phase < dies_[d]->segments()[stop.segment].phases) {
      dies_[d]->Fetch(stop.segment, stop.phase,
                      {own.begin % stop.shares, stop.shares, end - own.begin});
    }
  }

  template <typename Function>
  void Timed(std::int64_t worker, std::size_t segment, std::uint32_t phase, std::uint32_t die,
             Function function) {
    if (log_ == nullptr) {
      function();
      return;
    }
    TaskSpan span{call_, static_cast<std::uint32_t>(segment), phase, die, {}, {}};
    span.begin = std::chrono::steady_clock::now();
    function();
    span.end = std::chrono::steady_clock::now();
    (*log_)[static_cast<std::size_t>(worker)].push_back(span);
  }

  std::span<DieProgram* const> dies_;
  std::int64_t tokens_;
  std::int64_t workers_;
  const SegmentObserver& observer_;
  TaskLog* log_;
  std::uint32_t call_;
  CoreClaims cores_;
  WorkShares shares_;
  WorkBarrier barrier_;
  std::vector<Stop> stops_;
};

Executor::Executor(std::int64_t dies, std::int64_t threads) : crew_(WorkersFor(dies, threads)) {}

void Executor::Run(std::span<DieProgram* const> dies, std::int64_t tokens,
                   const SegmentObserver& observer, SegmentRange range) {
  Pass pass(dies, tokens, workers(), observer, range, log_, call_++);
  crew_.Run([&](std::int64_t worker) { pass.Work(worker); });
}

void Executor::Record(TaskLog* log) {
  log_ = log;
  call_ = 0;
  if (log_ != nullptr) {
    log_->resize(static_cast<std::size_t>(workers()));
  }
}

}  // namespace tyllm::simulator
