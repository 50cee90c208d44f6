// SPDX-License-Identifier: Apache-2.0
#include "server/store/requests.h"

#include <vector>

namespace tyllm::server::store::requests {

namespace {

constexpr Sql kFind{
    "SELECT method, fingerprint, job FROM requests WHERE id = ?1 AND request_id = ?2"};
constexpr Sql kInsert{
    "INSERT INTO requests(request_id, method, fingerprint, job, at_ms) "
    "VALUES(?1, ?2, ?3, ?4, ?5)"};
// Rows come in order of time: CorrectTimes sees to it after the clock was set back.
constexpr Sql kOld{"SELECT id, request_id, at_ms FROM requests ORDER BY id LIMIT ?1"};
constexpr Sql kCorrectTimes{"UPDATE requests SET at_ms = ?1 WHERE at_ms > ?1"};
constexpr Sql kRemove{"DELETE FROM requests WHERE id = ?1"};

struct Old {
  KeyIndex::RowId id;
  std::string request_id;
};

Result<std::vector<Old>> FindOld(Database& db, std::int64_t before, std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kOld, limit));
  std::vector<Old> found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more || rows.Integer(2) >= before) {
      return found;
    }
    found.push_back({rows.Integer(0), rows.Text(1)});
  }
}

Result<std::optional<AnsweredRequest>> FindBy(const Ground& ground, const Sha256& digest,
                                              const std::string& request_id) {
  TYLLM_TRY(CheckKnown(ground.keys));
  for (const KeyIndex::RowId id : ground.keys.requests.Find(digest)) {
    TYLLM_ASSIGN(Rows rows, ground.db.Query(kFind, id, request_id));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (!found) {
      continue;
    }
    AnsweredRequest answered{.method = rows.Text(0), .fingerprint = rows.Digest(1), .job = {}};
    if (!rows.IsNull(2)) {
      answered.job = JobId{rows.Integer(2)};
    }
    return std::optional(std::move(answered));
  }
  return std::optional<AnsweredRequest>();
}

}  // namespace

Result<std::optional<AnsweredRequest>> Find(const Ground& ground, const std::string& request_id) {
  return FindBy(ground, DigestOf(request_id), request_id);
}

Status Insert(const Ground& ground, const std::string& request_id, const AnsweredRequest& answered,
              std::int64_t now) {
  const Sha256 digest = DigestOf(request_id);
  TYLLM_ASSIGN(const std::optional<AnsweredRequest> before, FindBy(ground, digest, request_id));
  if (before) {
    return AlreadyExists("request_id '" + request_id + "' was used before");
  }
  std::optional<std::int64_t> job;
  if (answered.job) {
    job = answered.job->value;
  }
  TYLLM_TRY(ground.db.Change(kInsert, request_id, answered.method, answered.fingerprint, job, now)
                .status());
  ground.keys.requests.Add(digest, ground.db.last_insert_id());
  return OkStatus();
}

Result<std::int64_t> RemoveOld(const Ground& ground, std::int64_t before, std::int64_t limit) {
  TYLLM_ASSIGN(const std::vector<Old> found, FindOld(ground.db, before, limit));
  for (const Old& old : found) {
    TYLLM_TRY(ground.db.Change(kRemove, old.id).status());
    ground.keys.requests.Remove(DigestOf(old.request_id), old.id);
  }
  return static_cast<std::int64_t>(found.size());
}

Status CorrectTimes(Database& db, std::int64_t now) {
  return db.Change(kCorrectTimes, now).status();
}

}  // namespace tyllm::server::store::requests
