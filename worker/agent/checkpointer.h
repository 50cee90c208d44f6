// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>

#include "common/base/clock.h"
#include "common/domain/checkpoint.h"
#include "common/domain/job.h"
#include "common/domain/progress.h"
#include "common/telemetry/log.h"
#include "common/wire/blob_transfer.h"
#include "worker/agent/partial_tree.h"

namespace tyllm::agent {

/// Whether tasks of a kind keep unfinished work that another attempt can go on from.
bool KeepsUnfinishedWork(domain::TaskKind kind);

/// While a job runs: uploads what it has finished, from time to time, on a thread of its own, so
/// that an attempt that is lost costs the work since the last time and not all.
class Checkpointer {
 public:
  struct Place {
    Path partial;   ///< the folder that the job fills
    Path snapshot;  ///< a folder for this object, on the same file system
  };

  /// What goes where. Everything outlives the object; the functions are called from its thread.
  struct Surroundings {
    wire::BlobTransfer& transfer;  ///< used by nobody else meanwhile
    const Clock& clock;
    std::function<domain::Progress()> progress;
    std::function<void(const domain::Checkpoint&)> on_checkpoint;
    std::function<void(const Status&)> on_error;  ///< one that could not be taken; the next may be
  };

  Checkpointer(Place place, Milliseconds period, Surroundings around);
  ~Checkpointer();

  /// The job has ended. `keep`: what it left is uploaded once more, until `abandon`.
  void Finish(bool keep, const std::stop_token& abandon);

 private:
  void Work();
  void TellProgress(const domain::Progress& progress);
  void Take(const std::stop_token& stop);

  PartialTree tree_;
  Milliseconds period_;
  Surroundings around_;
  std::optional<domain::Checkpoint> last_;  ///< that was reported, without its time
  std::stop_source pausing_;                // ends the waiting
  std::stop_source uploading_;              // ends also what is under way
  std::jthread thread_;
};

}  // namespace tyllm::agent
