// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "common/base/clock.h"
#include "common/telemetry/log.h"
#include "common/telemetry/metrics.h"
#include "server/blobs/blob_store.h"
#include "server/core/attempts.h"
#include "server/core/fleet.h"
#include "server/core/intake.h"
#include "server/core/limits.h"
#include "server/core/signals.h"
#include "server/core/unread_results.h"
#include "server/core/whole_trees.h"
#include "server/sched/run_history.h"
#include "server/store/log_store.h"
#include "server/store/store.h"

namespace tyllm::server::core {

/// What use cases work on: durable state in the stores, and what is only known while the server
/// runs. Use cases are coroutines that run on `control`, an executor of one thread (spawn them
/// there), so the members below need no lock. The stores, clock, metrics and executors outlive the
/// Farm; stop both stores before the control thread's context goes away.
///
/// Start: construct, then run Recover to its end, then accept calls and run SweepForever.
class Farm {
 public:
  struct Parts {
    boost::asio::any_io_executor control;
    boost::asio::any_io_executor blocking;  ///< a few threads for looking at blobs
    store::Store& store;
    store::LogStore& logs;
    blobs::BlobStore& blobs;
    const Clock& clock;
    telemetry::Metrics& metrics;
    Limits limits;
    std::string version;            ///< of this build; also the toolchain's in action keys
    Path copies = {};               ///< folder for copies of the queue; made when it is needed
    telemetry::Log* log = nullptr;  ///< of what goes wrong when nobody asked; null: none
  };

  explicit Farm(Parts given)
      : parts(std::move(given)),
        signals(parts.control),
        started_unix_ms(parts.clock.UnixMillis()) {}

  Farm(const Farm&) = delete;
  Farm& operator=(const Farm&) = delete;

  /// What goes on for many transactions ends after the next one. Threads: any.
  void Stop() { stopping_ = true; }

  bool stopping() const { return stopping_; }

  const Parts parts;
  Attempts attempts;          ///< leases and progress of what runs
  Fleet fleet;                ///< workers that called
  sched::RunHistory history;  ///< of attempts of late; the queue has it, too
  Signals signals;            ///< wakes who waits for a change
  WholeTrees whole_trees;
  UnreadResults unread_results;
  Intake intake;                       ///< whether new jobs and blobs are taken
  std::optional<Clock::Steady> awake;  ///< when it looked last whether it stood still

  struct Moment {
    Clock::Steady at{};
    std::int64_t unix_ms = 0;
  };

  Moment listens_since;  ///< when it began, or woke from standing still
  const std::int64_t started_unix_ms;
  Clock::Steady checkpoints_swept{};  ///< when old ones were looked for
  /// Jobs with a task that nobody has the compiler for, though another one; since when.
  std::map<domain::JobId, Clock::Steady> without_compiler;

 private:
  std::atomic<bool> stopping_ = false;
};

}  // namespace tyllm::server::core
