// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "common/base/guarded.h"
#include "common/domain/worker_sync.h"
#include "common/telemetry/log.h"
#include "worker/agent/child_job.h"
#include "worker/agent/config.h"
#include "worker/agent/device_pool.h"
#include "worker/agent/farm_link.h"
#include "worker/agent/stage_clock.h"
#include "worker/agent/tree_cache.h"
#include "worker/agent/work_folder.h"

namespace grpc {
class Channel;
}

namespace tyllm::agent {

/// What attempts share. Everything outlives them.
struct AttemptSurroundings {
  const AgentConfig& config;
  const WorkFolder& folder;
  domain::WorkerSession session;
  FarmLink& link;
  std::shared_ptr<grpc::Channel> channel;  ///< for blobs: a connection of its own
  TreeCache& trees;
  DevicePool& devices;
  const Clock& clock;
  telemetry::Log& log;
  std::function<void()> on_news;  ///< any thread: an attempt has something to tell
  /// Any thread: a task found a tool missing that the worker states, or another one.
  std::function<void()> on_tool_missing;
};

/// Why an attempt is ended before its time.
enum class StopReason : std::uint8_t {
  kUnwanted,  ///< nobody wants the result: the job may end by itself, within the grace
  kHandBack,  ///< another worker is to go on: what was finished is uploaded once more
  kAtOnce,    ///< the lease is over, or the worker is killed: no grace
};

/// One attempt at a task, on threads of its own: fetches the inputs and what an earlier attempt had
/// finished, runs the job as a child process, ships its log, uploads unfinished work from time to
/// time and the output in the end. Destroying it kills the child and waits.
class AttemptRun {
 public:
  AttemptRun(const AttemptSurroundings& surroundings, domain::Assignment assignment);
  ~AttemptRun();

  const domain::AttemptId& id() const { return assignment_.id; }

  /// What the server is told now.
  domain::HeldAttempt Held();
  /// Ends the work; the outcome becomes Stopped unless it was reached before. Any number of times;
  /// kAtOnce hurries an end that is under way.
  void Stop(StopReason reason);

 private:
  struct State {
    domain::Progress progress;
    StageClock stages;
    domain::Outcome outcome = domain::Running{};
    std::optional<domain::Checkpoint> checkpoint;
    domain::Resources used;
    pid_t job = -1;  ///< while it runs
    std::optional<StopReason> stopped;
    bool sending = false;  ///< its output
  };

  void Work();
  domain::Outcome Perform(const std::stop_token& stop);
  Result<std::vector<TreeCache::Lease>> FetchInputs(wire::BlobTransfer& transfer,
                                                    const std::stop_token& stop);
  /// Puts what an earlier attempt had finished where the job looks for it.
  Status FetchCheckpoint(wire::BlobTransfer& transfer, const std::stop_token& stop);
  Result<Path> WriteOrder(const std::vector<TreeCache::Lease>& inputs,
                          const std::string& device) const;
  /// Nothing on success.
  std::optional<domain::Outcome> RunJob(const Path& order, const std::stop_token& stop);
  std::optional<domain::Outcome> RunChild(const Path& order, const std::stop_token& stop);
  /// Keeps compiled objects and input trees within the limit of the cache.
  void TidyCache();
  bool IsWorthKeeping(const std::optional<domain::Outcome>& outcome);
  Result<domain::Succeeded> UploadOutput(wire::BlobTransfer& transfer, const std::stop_token& stop);
  void ShipLog(const std::stop_token& job_ended);
  domain::Failure Signed(domain::Failure failure) const;
  void Report(const std::string& stage, std::uint64_t done, std::uint64_t total);
  void Report(const domain::Progress& progress);

  Path Output() const { return folder_ / "output"; }

  Path Partial() const { return folder_ / "output.partial"; }

  const AttemptSurroundings& around_;
  domain::Assignment assignment_;
  Path folder_;
  Path log_;
  std::stop_source stop_;       // of the work
  std::stop_source hurry_;      // of all grace
  std::stop_source destroyed_;  // of everything
  Guarded<State> state_;
  std::jthread thread_;
};

}  // namespace tyllm::agent
