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
  Pass(std::span<DieProgram* const> dies, std::int64_t tokens, std::int64_t workers, TaskLog* log,
       std::uint32_t call)
      : dies_(dies),
        tokens_(tokens),
        workers_(workers),
        log_(log),
        call_(call),
        shares_(static_cast<std::uint32_t>(workers)),
        barrier_(static_cast<std::int32_t>(workers)) {}

  void Work(std::int64_t worker, const SegmentObserver& observer) {
    if (workers_ > 1) {
      (void)cores_.Take();  // one that has to share is slower, not wrong
    }
    const std::span<const SegmentEnd> segments = dies_[0]->segments();
    std::uint32_t round = 0;
    for (std::size_t s = 0; s < segments.size(); ++s) {
      const std::size_t phases = PhasesOf(s);
      for (std::size_t phase = 0; phase < phases; ++phase) {
        TakeShares(worker, s, phase, ++round);
        barrier_.Arrive();
      }
      const bool sums = segments[s].after == die::Collective::kAllReduceSum;
      const std::int64_t count = tokens_ * segments[s].columns;
      const std::size_t group =
          segments[s].group > 0 ? static_cast<std::size_t>(segments[s].group) : dies_.size();
      if (sums && group > 1) {
        Timed(worker, s, TaskSpan::kCollective, 0,
              [&] { AllReduceSlice(dies_, group, s, count, worker, workers_); });
        barrier_.Arrive();
      }
      if (observer) {
        if (worker == 0) {
          observer(s, sums ? std::span<const float>(dies_[0]->CollectiveBuffer(s),
                                                    static_cast<std::size_t>(count))
                           : std::span<const float>());
        }
        barrier_.Arrive();  // the next segment would change what is observed
      }
    }
  }

 private:
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

  /// Takes stretches of the shares of all dies, one die after the other, until none are left.
  void TakeShares(std::int64_t worker, std::size_t segment, std::size_t phase,
                  std::uint32_t round) {
    const std::uint32_t shares = SharesOfPhase(segment, phase);
    const std::uint32_t tasks = static_cast<std::uint32_t>(dies_.size()) * shares;
    const auto own = static_cast<std::uint32_t>(worker);
    for (auto taken = shares_.Take(own, round, tasks); !taken.empty();
         taken = shares_.Take(own, round, tasks)) {
      while (!taken.empty()) {
        const std::uint32_t d = taken.begin / shares;
        const std::uint32_t end = std::min(taken.end, (d + 1) * shares);
        const die::Part part{taken.begin % shares, shares, end - taken.begin};
        taken.begin = end;
        RunPart(worker, segment, phase, d, part);
      }
    }
  }

  void RunPart(std::int64_t worker, std::size_t segment, std::size_t phase, std::uint32_t d,
               die::Part part) {
    if (phase < dies_[d]->segments()[segment].phases) {
      Timed(worker, segment, static_cast<std::uint32_t>(phase), d,
            [&] { dies_[d]->Run(segment, phase, part); });
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
  TaskLog* log_;
  std::uint32_t call_;
  CoreClaims cores_;
  WorkShares shares_;
  WorkBarrier barrier_;
};

Executor::Executor(std::int64_t dies, std::int64_t threads) : pool_(WorkersFor(dies, threads)) {}

void Executor::Run(std::span<DieProgram* const> dies, std::int64_t tokens,
                   const SegmentObserver& observer) {
  Pass pass(dies, tokens, workers(), log_, call_++);
  // Each index blocks its thread until all workers are through, so each thread gets one.
  pool_.ParallelFor(workers(), [&](std::int64_t worker) { pass.Work(worker, observer); });
}

void Executor::Record(TaskLog* log) {
  log_ = log;
  call_ = 0;
  if (log_ != nullptr) {
    log_->resize(static_cast<std::size_t>(workers()));
  }
}

}  // namespace tyllm::simulator
