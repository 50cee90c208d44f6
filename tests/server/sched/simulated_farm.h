// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "server/sched/bench.h"
#include "server/sched/fair_order.h"
#include "server/sched/placement.h"
#include "server/sched/retry.h"

namespace tyllm::server::sched {

/// A job of one task.
struct SimulatedJob {
  LaneKey lane;
  std::int64_t arrives_ms = 0;
  std::int64_t runs_ms = 0;

  // What became of it.
  std::int64_t started_ms = -1;  ///< first
  std::int64_t ended_ms = -1;
  bool failed = false;
  int attempts = 0;
};

/// A farm in virtual time: only the policies are real. Workers take what FairOrder and Pick give
/// them; attempts fail and are lost by chance, and Judge says what then.
class SimulatedFarm {
 public:
  struct Chances {
    double crash = 0;
    double loss = 0;
  };

  SimulatedFarm(std::uint64_t seed, Policy policy, Chances chances)
      : random_(seed), policy_(std::move(policy)), chances_(chances) {}

  void AddWorker(domain::Capabilities capabilities);
  /// Its machine fails every task within a second.
  void AddBrokenWorker(domain::Capabilities capabilities);
  void SetProject(const std::string& name, double weight, std::optional<std::int64_t> max_running);

  void AddJob(SimulatedJob job) { jobs_.push_back(std::move(job)); }

  /// Until every job has ended.
  void Run();

  const std::vector<SimulatedJob>& jobs() const { return jobs_; }

  /// Device-seconds that a project got between two times.
  double DeviceSeconds(const std::string& project, std::int64_t from_ms, std::int64_t to_ms) const;

  std::int64_t most_running(const std::string& project) const { return most_running_.at(project); }

  /// Times at which a worker had a free slot although it could have taken what waited.
  int idle_faults() const { return idle_faults_; }

 private:
  struct Worker {
    std::shared_ptr<WorkerState> state;
    int running = 0;
    bool broken = false;
    Trouble trouble = {};
  };

  struct Waiting {
    std::size_t job = 0;
    Candidate candidate;
    Spent spent;
  };

  struct Queue {
    LaneKey key;
    std::deque<Waiting> tasks;
  };

  struct Use {
    std::string project;
    bool interactive = false;
    std::int64_t from_ms = 0;
    std::int64_t to_ms = 0;  ///< of one that runs: when it will end
    double rate = 1;
  };

  struct Event {
    std::int64_t at_ms = 0;
    std::int64_t number = 0;  ///< keeps the order of those at one time
    std::function<void()> happen;

    bool operator>(const Event& other) const {
      return std::tie(at_ms, number) > std::tie(other.at_ms, other.number);
    }
  };

  void At(std::int64_t time, std::function<void()> happen);
  void Enqueue(Waiting waiting);
  void Dispatch();
  bool Give(std::size_t worker);
  std::vector<Lane> Lanes() const;
  Shares SharesNow() const;
  std::vector<Candidate> DueIn(const Queue& queue) const;
  void Start(std::size_t worker, Queue& queue, std::size_t index);
  void End(std::size_t worker, Waiting task, std::list<Use>::iterator run);
  void CheckNobodyIdles();
  int FreeSlots(const Worker& worker) const;

  Clock::Steady Now() const { return Clock::Steady(Milliseconds(now_)); }

  /// Of an attempt that does not succeed.
  EndedAttempt Describe(const Waiting& task, const Worker& worker, bool lost) const;

  std::mt19937_64 random_;
  const Policy policy_;
  const Chances chances_;
  std::vector<Worker> workers_;
  std::map<std::string, Share> projects_;
  std::map<std::string, std::int64_t> used_at_;
  std::vector<SimulatedJob> jobs_;
  std::vector<Queue> queues_;
  std::list<Use> running_;
  std::vector<Use> past_;
  std::map<std::string, std::int64_t> most_running_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::int64_t event_number_ = 0;
  std::int64_t now_ = 0;
  int idle_faults_ = 0;
};

}  // namespace tyllm::server::sched
