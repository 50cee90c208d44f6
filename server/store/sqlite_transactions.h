// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/database_copy.h"
#include "server/store/ground.h"
#include "server/store/running_tasks.h"

namespace tyllm::server::store {

/// What all operations of a queue in SQLite stand on: one connection with its transactions, what is
/// known in memory and must follow them, and a copy that may be made meanwhile.
class SqliteTransactions : public Queue {
 public:
  SqliteTransactions(std::unique_ptr<Database> database, std::string toolchain_version,
                     const sched::Fairness& fairness);

  /// Before anything else, of the connection that writes.
  Status Load();

  Result<std::unique_ptr<LogSync>> OpenLogSync() override;
  Status Begin() override;
  Result<bool> Commit() override;
  void Rollback() override;
  std::vector<EndedJob> TakeEnded() override;
  Status SetMark() override;
  Status KeepMark() override;
  Status RevertToMark() override;
  std::int64_t changes() const override;
  Status broken() const override;
  std::int64_t schema_version() const override;
  Status Probe(std::int64_t now) override;
  Status BeginCopy(const Path& to) override;
  Result<bool> CopySome(int pages) override;

 private:
  std::unique_ptr<Database> database_;
  std::vector<EndedJob> ended_;  ///< by the transaction
  std::size_t ended_at_mark_ = 0;
  Keys keys_;
  Keys::Mark keys_at_mark_;
  std::unique_ptr<DatabaseCopy> copy_;

 protected:
  Database& db_;
  const Ground ground_;
  RunningTasks running_{db_};
};

}  // namespace tyllm::server::store
