// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/telemetry/log.h"
#include "worker/agent/attempt_run.h"
#include "worker/agent/config.h"

namespace tyllm::agent {

/// A worker: asks the server what to run, runs it, and says how it went, until it is told to stop.
/// One thread calls Run. Work goes on over a lost connection until the lease ends; then the worker
/// stops it by itself.
class Agent {
 public:
  /// `channel` carries Sync and logs, `blob_channel` files, so that a large transfer never delays a
  /// renewal.
  static Result<std::unique_ptr<Agent>> Create(AgentConfig config,
                                               std::shared_ptr<grpc::Channel> channel,
                                               std::shared_ptr<grpc::Channel> blob_channel,
                                               const Clock& clock, telemetry::Log& log);
  ~Agent();

  /// Returns OK after a stop: running attempts were stopped and, if the server answers, handed back
  /// so that they are tried elsewhere at once.
  Status Run(const std::stop_token& stop);

 private:
  using Attempts = std::map<domain::TaskId, std::unique_ptr<AttemptRun>>;

  Agent(AgentConfig config, const Clock& clock, telemetry::Log& log);

  domain::SyncRequest Request(bool draining);
  void Apply(const domain::SyncReply& reply, Clock::Steady asked);
  /// Ends an attempt without waiting for its child's grace.
  void Drop(const domain::TaskId& task);
  /// Stops every attempt when no call has succeeded for a lease.
  void StopWhatIsLost();
  void HandBack();
  /// Until news, the time, or a stop.
  void WaitForNews(Milliseconds limit, const std::stop_token& stop);

  AgentConfig config_;
  const Clock& clock_;
  telemetry::Log& logbook_;
  domain::WorkerSession session_;
  std::unique_ptr<FarmLink> link_;
  std::unique_ptr<TreeCache> trees_;
  std::unique_ptr<AttemptSurroundings> around_;
  Guarded<bool> news_;
  Attempts attempts_;
  std::vector<std::unique_ptr<AttemptRun>> ending_;  ///< stopped and of no interest to the server
  Clock::Steady lease_end_{};
  Milliseconds next_sync_{1000};
};

}  // namespace tyllm::agent
