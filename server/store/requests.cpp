// SPDX-License-Identifier: Apache-2.0
#include "server/store/requests.h"

namespace tyllm::server::store::requests {

namespace {

constexpr Sql kFind{"SELECT method, fingerprint, job FROM requests WHERE request_id = ?1"};
constexpr Sql kInsert{
    "INSERT INTO requests(request_id, method, fingerprint, job, at_ms) "
    "VALUES(?1, ?2, ?3, ?4, ?5)"};
constexpr Sql kRemoveOld{
    "DELETE FROM requests WHERE request_id IN (SELECT request_id FROM requests WHERE at_ms < ?1 "
    "ORDER BY at_ms LIMIT ?2)"};

}  // namespace

Result<std::optional<AnsweredRequest>> Find(Database& db, const std::string& request_id) {
  TYLLM_ASSIGN(Rows rows, db.Query(kFind, request_id));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return std::optional<AnsweredRequest>();
  }
  AnsweredRequest answered{.method = rows.Text(0), .fingerprint = rows.Digest(1), .job = {}};
  if (!rows.IsNull(2)) {
    answered.job = JobId{rows.Integer(2)};
  }
  return std::optional(std::move(answered));
}

Status Insert(Database& db, const std::string& request_id, const AnsweredRequest& answered,
              std::int64_t now) {
  std::optional<std::int64_t> job;
  if (answered.job) {
    job = answered.job->value;
  }
  return db.Change(kInsert, request_id, answered.method, answered.fingerprint, job, now).status();
}

Result<std::int64_t> RemoveOld(Database& db, std::int64_t before, std::int64_t limit) {
  return db.Change(kRemoveOld, before, limit);
}

}  // namespace tyllm::server::store::requests
