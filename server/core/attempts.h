// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "server/sched/clocks.h"
#include "server/sched/policy.h"
#include "server/sched/time_left.h"
#include "server/store/queue.h"

namespace tyllm::server::core {

/// What is known of running attempts only while the server runs: when each was heard of last and
/// how far it is. Which attempts run is the queue's to say; one that the queue has and this has not
/// is taken up as if heard of just then (docs/adr/0040-leases-in-memory.md).
class Attempts {
 public:
  struct Live {
    store::HeldTask task;  ///< as the queue last told; of a new one without what was spent before
    sched::AttemptTimes times;
    domain::Progress progress;
    sched::Pace pace;                              ///< of its stage
    std::optional<domain::Checkpoint> checkpoint;  ///< the newest that is in the queue
    bool advanced = false;                         ///< that is more than it was given to go on from
    std::string toolchain_version;                 ///< of the worker that it was given to
    std::optional<Sha256> key;                     ///< of its action with that version
    std::optional<sched::SizeClass> size = {};     ///< of one that was given by this server
  };

  /// The queue has this attempt. What is not known of it counts as heard of now.
  void Follow(const store::HeldTask& task, const Clock& clock);
  /// The worker of an attempt that is followed named it. True when the progress is new.
  bool Heard(const domain::AttemptId& id, const domain::Progress& progress, Clock::Steady now);

  /// An attempt that is followed was given to a worker with this version.
  void NoteAction(const store::Lease& lease, const std::string& toolchain_version);

  /// Whether the queue may not have this unfinished work of the attempt yet.
  bool IsNewCheckpoint(const domain::AttemptId& id, const domain::Checkpoint& checkpoint) const;
  void NoteCheckpoint(const domain::AttemptId& id, const domain::Checkpoint& checkpoint);

  /// The server stood still for so long, until now: no clock went on (sched::Without).
  void Forgive(Milliseconds still, Clock::Steady now);

  void End(const domain::AttemptId& id) { live_.erase(id); }

  const Live* Find(const domain::AttemptId& id) const;

  struct Overdue {
    domain::AttemptId id;
    sched::Ending ending = sched::Ending::kLeaseLost;
  };

  /// Puts the progress of running tasks into the view.
  void AddProgress(domain::JobView& job) const;
  /// Forgets all that are not among these.
  void KeepOnly(const std::vector<domain::AttemptId>& running);
  std::vector<Overdue> FindOverdue(Clock::Steady now, const sched::Policy& policy) const;

 private:
  std::map<domain::AttemptId, Live> live_;
};

}  // namespace tyllm::server::core
