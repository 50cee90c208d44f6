// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "server/store/database.h"

namespace tyllm::server::store {

/// Tasks that workers hold, read from the database once a transaction and kept right while that
/// goes on: every claim asks whose tasks run, and a farm may run thousands. What changes table
/// `tasks` on this connection, SQLite tells; what is undone it does not: call Forget. One thread.
class RunningTasks {
 public:
  struct Task {
    std::int64_t lane = 0;
    double rate = 0;  ///< device-seconds a second
    std::int64_t started_ms = 0;
  };

  /// The only one of `db`, which it refers to and which outlives it.
  explicit RunningTasks(Database& db);
  RunningTasks(const RunningTasks&) = delete;
  RunningTasks& operator=(const RunningTasks&) = delete;
  ~RunningTasks();

  /// By id; until the next change.
  Result<const std::map<std::int64_t, Task>*> All();

  /// A transaction begins, or something of it was undone.
  void Forget();

 private:
  void NoteChange(std::int64_t task);
  Status ReadAll();
  Status ReadChanged();

  Database& db_;
  bool known_ = false;
  std::map<std::int64_t, Task> tasks_;
  std::vector<std::int64_t> changed_;  ///< since they were read
};

}  // namespace tyllm::server::store
