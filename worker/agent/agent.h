// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/telemetry/log.h"
#include "worker/agent/attempt_run.h"
#include "worker/agent/config.h"
#include "worker/agent/device_pool.h"
#include "worker/agent/work_folder.h"

namespace tyllm::agent {

/// A worker: asks the server what to run, runs it, and says how it went, until it is told to stop.
/// One thread calls Run. Work goes on over a lost connection until the lease ends; then the worker
/// stops it by itself.
class Agent {
 public:
  /// `channel` carries Sync and logs, `blob_channel` files, so that a large transfer never delays a
  /// renewal. Takes the folder, for which it waits a while, and asks the toolchain what it can do.
  static Result<std::unique_ptr<Agent>> Create(AgentConfig config,
                                               std::shared_ptr<grpc::Channel> channel,
                                               std::shared_ptr<grpc::Channel> blob_channel,
                                               const Clock& clock, telemetry::Log& log,
                                               const std::stop_token& stop = {});
  ~Agent();

  /// Returns OK after a stop, or when the server has asked the worker to leave: running attempts
  /// were stopped and, if the server answers, handed back so that they are tried elsewhere at once.
  /// If it does not, the next process in the folder hands them back. Once `orphaned`, the server is
  /// known to be gone: everything is ended without calling it, to make room for that process.
  /// kFailedPrecondition when another process has taken the worker's name, kInvalidArgument when
  /// the server does not take what the worker says of itself.
  Status Run(const std::stop_token& stop, const std::stop_token& orphaned = {});

 private:
  using Attempts = std::map<domain::TaskId, std::unique_ptr<AttemptRun>>;

  Agent(AgentConfig config, WorkFolder folder, const Clock& clock, telemetry::Log& log);

  Status DescribeItself();
  /// Any thread: a task found another tool, or none, where the worker had stated one.
  void AskForTools();
  domain::SyncRequest Request(bool draining);
  /// One call, and what follows from its answer. kCancelled when the worker is to leave.
  Status Turn(const std::stop_token& stop);
  void Apply(const domain::SyncReply& reply, Clock::Steady asked);
  void Obey(const domain::ModeOrder& order);
  /// Ends an attempt without waiting for its child's grace.
  void Drop(const domain::TaskId& task);
  /// Stops every attempt when no call has succeeded for a lease. What was finished before is still
  /// offered when the server answers again.
  void StopWhatIsLost();
  void HandBack(StopReason reason, const std::stop_token& orphaned);
  /// Until they have all ended, or the server did not hear of them in time.
  void HandBackByCalls(const std::stop_token& orphaned);
  /// What the server has not heard of, for the next process.
  void LeaveBehind();
  /// The server was told of what an earlier process had left.
  void ForgetUnreturned();
  /// So that nobody counts on this worker until it has been silent for long.
  void SayFarewell();

  bool IsIdle() const { return attempts_.empty() && ending_.empty(); }

  /// For the next call: never longer than the lease of what runs.
  Milliseconds CallLimit(const domain::SyncRequest& request) const;
  Milliseconds TimeToLeaseEnd() const;
  Milliseconds RetryPause();
  /// Until news, the time, or a stop.
  void WaitForNews(Milliseconds limit, const std::stop_token& stop);

  AgentConfig config_;
  WorkFolder folder_;
  const Clock& clock_;
  telemetry::Log& logbook_;
  domain::WorkerSession session_;
  domain::Capabilities is_;
  domain::ModeOrder order_;
  std::unique_ptr<FarmLink> link_;
  std::unique_ptr<TreeCache> trees_;
  std::unique_ptr<DevicePool> devices_;
  std::unique_ptr<AttemptSurroundings> around_;
  Guarded<bool> news_;
  Guarded<std::map<std::string, std::string>> tools_;  ///< that it has now, as in Capabilities
  Attempts attempts_;
  std::vector<domain::HeldAttempt> unreturned_;      ///< by an earlier process, to be told once
  std::vector<std::unique_ptr<AttemptRun>> ending_;  ///< stopped and of no interest to the server
  Clock::Steady lease_end_{};
  bool lost_ = false;  ///< the lease has ended
  Milliseconds next_sync_{1000};
  Milliseconds retry_{0};
  std::minstd_rand random_;
};

}  // namespace tyllm::agent
