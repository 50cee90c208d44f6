// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <thread>

#include "common/base/guarded.h"
#include "server/store/log_sync.h"
#include "server/store/operation.h"

namespace tyllm::server::store {

/// The thread that makes commits durable while the next transaction is made, and holds every answer
/// back until all is durable that it may tell of (docs/adr/0115-the-log-is-synced-beside-the-
/// writer.md). Commits are numbered as they come, and one thread makes them. A sync that fails
/// makes everything an error that is not answered by then, for good. Threads: any.
class LogSyncer {
 public:
  struct Hooks {
    std::function<void(const Status&)> on_fault;  ///< a sync failed; before anybody is told
    std::function<void()> on_idle;                ///< `busy` is false now
  };

  /// Hooks are called on its thread.
  LogSyncer(std::unique_ptr<LogSync> log, Hooks hooks);
  LogSyncer(const LogSyncer&) = delete;
  LogSyncer& operator=(const LogSyncer&) = delete;
  ~LogSyncer();

  /// What a transaction made of operations.
  struct Commit {
    Operations operations;
    Status status;
    bool wrote = false;
    std::function<void()> on_durable;  ///< if it wrote; on this object's thread
  };

  /// A transaction is about to be put into the log: whatever is read from now on may show it.
  void BeginCommit();
  /// It was, or was given up. Its operations are answered when it and those before are durable.
  void EndCommit(Commit commit);

  /// The last commit that has begun.
  std::int64_t begun();
  /// Answers what was read while no later commit than this one had begun.
  void Answer(Operations operations, const Status& status, std::int64_t commit);

  /// Something is being made durable.
  bool busy() const { return busy_; }

  /// After the last commit: makes all durable, answers all, ends the thread. Idempotent.
  void Stop();

 private:
  struct Held {
    std::int64_t commit = 0;
    Operations operations;
    Status status;
    std::function<void()> on_durable;
  };

  struct State {
    std::int64_t begun = 0;
    std::int64_t ended = 0;
    std::int64_t durable = 0;
    bool wrote = false;  ///< some of those between `durable` and `ended`
    Status fault;
    std::list<Held> held;
    bool stopped = false;
  };

  static std::list<Held> TakeReleased(State& state);
  static void Release(std::list<Held> released, const Status& fault);
  void Run();
  void SyncTo(std::int64_t commit);

  const std::unique_ptr<LogSync> log_;
  const Hooks hooks_;
  Status broken_;  ///< of this object's thread
  std::atomic<bool> busy_ = false;
  Guarded<State> state_;
  std::thread thread_;
};

}  // namespace tyllm::server::store
