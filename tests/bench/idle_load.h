// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include "common/base/digest.h"
#include "tests/bench/measured_server.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace tyllm::bench {

/// What is there and has nothing to do. Every worker has a connection of its own, as real workers
/// do; so has every watcher, which watches a job of its own that stays queued.
struct Idlers {
  int workers = 0;
  int watchers = 0;
};

/// What the server used for them, while nothing else was asked of it.
struct IdleCost {
  double cores = 0;         ///< of CPU time a second
  double resident_mib = 0;  ///< of the whole process at the end
  double empty_mib = 0;     ///< of the same process before they came
  long calls = 0;           ///< of workers that were answered in the measured time
  long broken = 0;          ///< streams and calls that ended in an error: must be 0
};

/// Brings them, waits until all have come, and measures for `time`.
IdleCost MeasureIdle(const MeasuredServer& server, const BlobId& model, const Idlers& idlers,
                     std::chrono::seconds time);

}  // namespace tyllm::bench
