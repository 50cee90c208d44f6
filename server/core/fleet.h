// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/domain/worker_sync.h"
#include "server/sched/bench.h"
#include "server/sched/placement.h"

namespace tyllm::server::core {

/// Workers that called since the server started.
class Fleet {
 public:
  struct Member {
    std::string session;
    std::shared_ptr<const sched::WorkerState> state;  ///< what it is and has, as of its last call
    int free_slots = 0;                               ///< as of its last answer
    domain::Resources used;                           ///< likewise
    domain::ModeOrder order;                          ///< of a person
    std::optional<Clock::Steady> killed;              ///< since when it is to end its attempts
    bool draining = false;                            ///< says the worker
    std::int64_t calls = 0;
    bool settled = false;    ///< nothing of its earlier sessions is left in the queue
    sched::Trouble trouble;  ///< of its machine; a person's word or a new process ends it
    bool benched = false;    ///< by that
    Clock::Steady seen;
    std::int64_t seen_unix_ms = 0;
  };

  const Member* Find(const std::string& worker) const;

  /// Whether the worker is there: it called after `since`, and its last call did not say that it
  /// drains and has nothing left; one that was forgotten is not. `holds`: it has tasks.
  bool IsThere(const std::string& worker, bool holds, Clock::Steady since) const;

  /// A worker's session, new or another than before, and what a person has decided of the worker.
  void Begin(const domain::WorkerSession& from, const domain::ModeOrder& order, Clock::Steady now);

  // Of workers that have a session.

  /// It called.
  void Hear(const std::string& worker, std::shared_ptr<const sched::WorkerState> state,
            bool draining, const Clock& clock);
  /// What its tasks leave free and are taken to use.
  void SetLoad(const std::string& worker, int free_slots, const domain::Resources& used);
  /// An attempt failed by its machine, or succeeded there.
  void NoteMachineFailure(const std::string& worker, domain::TaskId task, const std::string& reason,
                          Clock::Steady now, const sched::Policy& policy);
  void NoteSuccess(const std::string& worker);
  void SetSettled(const std::string& worker, bool settled);
  void SetOrder(const std::string& worker, const domain::ModeOrder& order, Clock::Steady now);

  /// The server stood still for so long, until now: nobody was silent meanwhile.
  void Forgive(Milliseconds still, Clock::Steady now);

  /// Its next call begins a session. Of no effect on calls under way.
  void Forget(const std::string& worker);
  /// Workers that were forgotten and not seen since then.
  void DropForgotten(Clock::Steady since);

  /// Workers that were seen after `since`, by name. Made anew only when one came, changed or went:
  /// every idle worker asks for it.
  sched::OnlineWorkers OnlineSince(Clock::Steady since) const;
  /// Of the workers of OnlineSince that take work.
  int SlotsSince(Clock::Steady since) const;

 private:
  /// What OnlineSince gave last.
  struct Online {
    sched::OnlineWorkers workers;
    int slots = 0;
    Clock::Steady since;   ///< who was seen after is in it
    Clock::Steady oldest;  ///< when the one of them that was silent for longest was seen
  };

  void Refresh(Clock::Steady since) const;

  std::map<std::string, Member> members_;
  mutable Online online_;
};

}  // namespace tyllm::server::core
