// SPDX-License-Identifier: Apache-2.0
#include "server/store/requests.h"

namespace tyllm::server::store::requests {

namespace {

constexpr Sql kFind{"SELECT job FROM requests WHERE request_id = ?1"};
constexpr Sql kInsert{
    "INSERT INTO requests(request_id, method, job, at_ms) VALUES(?1, 'SubmitJob', ?2, ?3)"};

}  // namespace

Result<std::optional<JobId>> Find(Database& db, const std::string& request_id) {
  TYLLM_ASSIGN(Rows rows, db.Query(kFind, request_id));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? std::optional(JobId{rows.Integer(0)}) : std::nullopt;
}

Status Insert(Database& db, const std::string& request_id, JobId job, std::int64_t now) {
  return db.Change(kInsert, request_id, job.value, now).status();
}

}  // namespace tyllm::server::store::requests
