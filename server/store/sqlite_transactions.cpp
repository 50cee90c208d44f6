// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_transactions.h"

#include <utility>

#include "server/store/schema.h"

namespace tyllm::server::store {

namespace {

constexpr Sql kSetMark{"SAVEPOINT operation"};
constexpr Sql kKeepMark{"RELEASE operation"};
constexpr Sql kRevertToMark{"ROLLBACK TO operation"};
constexpr Sql kProbe{
    "INSERT INTO probes(id, at_ms) VALUES(1, ?1) ON CONFLICT(id) DO UPDATE SET "
    "at_ms = excluded.at_ms"};

}  // namespace

SqliteTransactions::SqliteTransactions(std::unique_ptr<Database> database,
                                       std::string toolchain_version,
                                       const sched::Fairness& fairness)
    : database_(std::move(database)),
      db_(*database_),
      ground_{db_, keys_, std::move(toolchain_version), fairness, ended_} {}

Status SqliteTransactions::Load() {
  return LoadKeys(db_, keys_);
}

Result<std::unique_ptr<LogSync>> SqliteTransactions::OpenLogSync() {
  return db_.OpenLogSync();
}

Status SqliteTransactions::Begin() {
  running_.Forget();
  ended_.clear();
  return db_.Begin();
}

Result<bool> SqliteTransactions::Commit() {
  Result<bool> wrote = db_.Commit();
  if (wrote.ok()) {
    keys_.Keep();
  }
  return wrote;
}

void SqliteTransactions::Rollback() {
  running_.Forget();
  ended_.clear();
  keys_.Return({});
  db_.Rollback();
}

std::vector<EndedJob> SqliteTransactions::TakeEnded() {
  return std::exchange(ended_, {});
}

Status SqliteTransactions::SetMark() {
  ended_at_mark_ = ended_.size();
  keys_at_mark_ = keys_.mark();
  return db_.Change(kSetMark).status();
}

Status SqliteTransactions::KeepMark() {
  return db_.Change(kKeepMark).status();
}

Status SqliteTransactions::RevertToMark() {
  running_.Forget();
  ended_.resize(ended_at_mark_);
  keys_.Return(keys_at_mark_);
  TYLLM_TRY(db_.Change(kRevertToMark).status());
  return db_.Change(kKeepMark).status();
}

std::int64_t SqliteTransactions::changes() const {
  return db_.total_changes();
}

Status SqliteTransactions::broken() const {
  return db_.broken();
}

std::int64_t SqliteTransactions::schema_version() const {
  return SchemaVersion();
}

Status SqliteTransactions::Probe(std::int64_t now) {
  return db_.Change(kProbe, now).status();
}

Status SqliteTransactions::BeginCopy(const Path& to) {
  if (copy_) {
    return FailedPrecondition("a copy of the queue is being made; wait for it to end");
  }
  TYLLM_ASSIGN(copy_, DatabaseCopy::Begin(db_, to));
  return OkStatus();
}

Result<bool> SqliteTransactions::CopySome(int pages) {
  if (!copy_) {
    return FailedPrecondition("no copy of the queue is being made");
  }
  Result<bool> done = copy_->Step(pages);
  if (!done.ok() || *done) {
    copy_.reset();
  }
  return done;
}

}  // namespace tyllm::server::store
