// SPDX-License-Identifier: Apache-2.0
#include "server/store/schema.h"

#include <array>
#include <string>

#include "server/store/database_copy.h"
#include "server/store/schema_callers.h"
#include "server/store/schema_checkpoints.h"
#include "server/store/schema_keys.h"
#include "server/store/schema_lanes.h"
#include "server/store/schema_lean.h"
#include "server/store/schema_queue.h"
#include "server/store/schema_records.h"
#include "server/store/schema_requests.h"
#include "server/store/schema_sizes.h"
#include "server/store/schema_upserts.h"
#include "server/store/schema_waits.h"

namespace tyllm::server::store {

namespace {

constexpr std::int64_t kApplicationId = 0x74796c6d;  // "tylm"

// Step i leads from schema i to i + 1. A released step is never changed: add another.
// docs/formats/sqlite_schema.md says what the columns mean.
constexpr std::array kSteps = {
    schema::kQueue,   schema::kRequests, schema::kCheckpoints, schema::kLanes,
    schema::kRecords, schema::kUpserts,  schema::kSizes,       schema::kKeys,
    schema::kLean,    schema::kWaits,    schema::kCallers,
};

constexpr Sql kGetVersion{"PRAGMA user_version"};
constexpr Sql kGetApplication{"PRAGMA application_id"};
constexpr Sql kCountTables{"SELECT count(*) FROM sqlite_schema"};

Result<std::int64_t> One(Database& database, const Sql& sql) {
  TYLLM_ASSIGN(Rows rows, database.Query(sql));
  TYLLM_ASSIGN(const bool found, rows.Next());
  TYLLM_CHECK(found);
  return rows.Integer(0);
}

Status CheckOurs(Database& database, std::int64_t version) {
  TYLLM_ASSIGN(const std::int64_t application, One(database, kGetApplication));
  TYLLM_ASSIGN(const std::int64_t tables, One(database, kCountTables));
  if (application != kApplicationId && tables > 0) {
    return FailedPrecondition("the database was not made by tyllm-server (application id " +
                              std::to_string(application) +
                              "); give the server a data folder of its own");
  }
  if (version > SchemaVersion()) {
    return FailedPrecondition("the database has schema " + std::to_string(version) +
                              ", this program knows schemas up to " +
                              std::to_string(SchemaVersion()) +
                              "; run the newer tyllm-server that wrote it, or restore a backup");
  }
  return OkStatus();
}

Status Step(Database& database, std::int64_t from) {
  TYLLM_TRY(database.Begin());
  Status status = database.Execute(kSteps[static_cast<std::size_t>(from)]);
  if (status.ok()) {
    const std::string mark = "PRAGMA user_version=" + std::to_string(from + 1) +
                             "; PRAGMA application_id=" + std::to_string(kApplicationId);
    status = database.Execute(mark.c_str());
  }
  if (status.ok()) {
    status = database.Commit().status();
  }
  if (!status.ok()) {
    database.Rollback();
  }
  return status.Annotate("migrating the database from schema " + std::to_string(from));
}

}  // namespace

std::int64_t SchemaVersion() {
  return static_cast<std::int64_t>(kSteps.size());
}

Result<std::int64_t> SchemaOf(Database& database) {
  return One(database, kGetVersion);
}

Status CopyBeforeMigration(Database& database, const Path& folder) {
  TYLLM_ASSIGN(const std::int64_t found, SchemaOf(database));
  if (found == 0 || found >= SchemaVersion()) {
    return OkStatus();
  }
  TYLLM_TRY(CheckOurs(database, found));
  TYLLM_TRY(LocalFileSystem().CreateDirectories(folder));
  const Path to = folder / ("queue-schema-" + std::to_string(found) + ".db");
  std::error_code error;
  if (std::filesystem::exists(to, error)) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const auto copy, DatabaseCopy::Begin(database, to));
  constexpr int kAllPages = -1;
  return copy->Step(kAllPages).status().Annotate("before migrating the queue");
}

Status Migrate(Database& database, std::int64_t version) {
  TYLLM_ASSIGN(std::int64_t found, One(database, kGetVersion));
  TYLLM_TRY(CheckOurs(database, found));
  if (found >= version) {
    return OkStatus();
  }
  // Steps that make a table anew drop the old one while others refer to it.
  TYLLM_TRY(database.Execute("PRAGMA foreign_keys=OFF"));
  for (; found < version; ++found) {
    TYLLM_TRY(Step(database, found));
  }
  return database.Execute("PRAGMA foreign_keys=ON");
}

}  // namespace tyllm::server::store
