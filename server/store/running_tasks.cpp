// SPDX-License-Identifier: Apache-2.0
#include "server/store/running_tasks.h"

#include <cstring>

namespace tyllm::server::store {

namespace {

constexpr Sql kAll{
    "SELECT lane, rate, started_ms, id FROM tasks INDEXED BY tasks_held WHERE state IN (2, 3)"};
constexpr Sql kOne{"SELECT lane, rate, started_ms, state IN (2, 3) FROM tasks WHERE id = ?1"};

/// Past so many changes all are read again.
constexpr std::size_t kMostChanged = 256;

RunningTasks::Task Read(const Rows& rows) {
  return {.lane = rows.Integer(0), .rate = rows.Real(1), .started_ms = rows.Integer(2)};
}

}  // namespace

RunningTasks::RunningTasks(Database& db) : db_(db) {
  sqlite3_update_hook(
      db_.connection(),
      [](void* self, int /*operation*/, const char* /*schema*/, const char* table,
         sqlite3_int64 row) {
        if (std::strcmp(table, "tasks") == 0) {
          static_cast<RunningTasks*>(self)->NoteChange(row);
        }
      },
      this);
}

RunningTasks::~RunningTasks() {
  sqlite3_update_hook(db_.connection(), nullptr, nullptr);
}

void RunningTasks::Forget() {
  known_ = false;
  changed_.clear();
}

void RunningTasks::NoteChange(std::int64_t task) {
  if (!known_) {
    return;
  }
  if (changed_.size() < kMostChanged) {
    changed_.push_back(task);
  } else {
    Forget();
  }
}

Result<const std::map<std::int64_t, RunningTasks::Task>*> RunningTasks::All() {
  TYLLM_TRY(known_ ? ReadChanged() : ReadAll());
  return &tasks_;
}

Status RunningTasks::ReadAll() {
  tasks_.clear();
  TYLLM_ASSIGN(Rows rows, db_.Query(kAll));
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      known_ = true;
      return OkStatus();
    }
    tasks_[rows.Integer(3)] = Read(rows);
  }
}

Status RunningTasks::ReadChanged() {
  for (const std::int64_t task : changed_) {
    TYLLM_ASSIGN(Rows rows, db_.Query(kOne, task));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found && rows.Integer(3) != 0) {
      tasks_[task] = Read(rows);
    } else {
      tasks_.erase(task);
    }
  }
  changed_.clear();
  return OkStatus();
}

}  // namespace tyllm::server::store
