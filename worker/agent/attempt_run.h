// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "common/base/guarded.h"
#include "common/domain/worker_sync.h"
#include "worker/agent/child_job.h"
#include "worker/agent/config.h"
#include "worker/agent/farm_link.h"
#include "worker/agent/tree_cache.h"

namespace grpc {
class Channel;
}

namespace tyllm::agent {

/// What attempts share. Everything outlives them.
struct AttemptSurroundings {
  const AgentConfig& config;
  domain::WorkerSession session;
  FarmLink& link;
  std::shared_ptr<grpc::Channel> channel;  ///< for blobs: a connection of its own
  TreeCache& trees;
  const Clock& clock;
  std::function<void()> on_news;  ///< any thread: an attempt has something to tell
};

/// One attempt at a task, on threads of its own: fetches the inputs, runs the job as a child
/// process, ships its log and uploads its output. Destroying it stops the child and waits.
class AttemptRun {
 public:
  AttemptRun(const AttemptSurroundings& surroundings, domain::Assignment assignment);
  ~AttemptRun();

  const domain::AttemptId& id() const { return assignment_.id; }

  /// What the server is told now.
  domain::HeldAttempt Held();
  /// Ends the work; the outcome becomes Stopped unless it was reached before. Any number of times.
  void Stop();

 private:
  struct State {
    domain::Progress progress;
    domain::Outcome outcome = domain::Running{};
  };

  void Work();
  domain::Outcome Perform(const std::stop_token& stop);
  Result<std::vector<TreeCache::Lease>> FetchInputs(wire::BlobTransfer& transfer,
                                                    const std::stop_token& stop);
  Result<Path> WriteOrder(const std::vector<TreeCache::Lease>& inputs) const;
  /// Nothing on success.
  std::optional<domain::Outcome> RunJob(const Path& order, const std::stop_token& stop);
  Result<domain::Succeeded> UploadOutput(wire::BlobTransfer& transfer, const std::stop_token& stop);
  void ShipLog(const std::stop_token& job_ended);
  void Report(const std::string& stage, std::uint64_t done, std::uint64_t total);
  void Report(const domain::Progress& progress);

  const AttemptSurroundings& around_;
  domain::Assignment assignment_;
  Path folder_;
  Path log_;
  std::stop_source stop_;
  Guarded<State> state_;
  std::jthread thread_;
};

}  // namespace tyllm::agent
