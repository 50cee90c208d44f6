// SPDX-License-Identifier: Apache-2.0
#include "server/store/made_results.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>

namespace tyllm::server::store::made_results {

namespace {

// A task's last attempt is the one that made its output.
constexpr Sql kResults{
    "SELECT a.id, a.key, a.task, x.worker, x.toolchain, x.ended_ms FROM (SELECT id, key, task FROM "
    "actions WHERE id > ?1 ORDER BY id LIMIT ?2) a LEFT JOIN tasks t ON t.id = a.task LEFT JOIN "
    "attempts x ON x.task = t.id AND x.attempt = t.attempt ORDER BY a.id"};
constexpr Sql kUnfinished{
    "SELECT DISTINCT c.key, c.task, x.worker, x.toolchain, c.at_ms FROM checkpoints c LEFT JOIN "
    "attempts x ON x.task = c.task"};
constexpr Sql kMakersOfJob{"SELECT coalesce(made_by, id) FROM tasks WHERE job = ?1"};
constexpr Sql kMakerOfTask{"SELECT coalesce(made_by, id) FROM tasks WHERE id = ?1"};

/// Tasks whose attempts made what a job or a task has.
using Makers = std::set<std::int64_t>;

Result<Makers> MakersOf(Database& db, const Sql& sql, std::int64_t id) {
  TYLLM_ASSIGN(Rows rows, db.Query(sql, id));
  Makers makers;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return makers;
    }
    makers.insert(rows.Integer(0));
  }
}

/// What of a selection an attempt is held against.
class Fitting {
 public:
  static Result<Fitting> Of(Database& db, const domain::ResultSelection& which) {
    Fitting fitting(which);
    if (which.job) {
      TYLLM_ASSIGN(fitting.of_job_, MakersOf(db, kMakersOfJob, which.job->value));
    }
    if (which.task) {
      TYLLM_ASSIGN(fitting.of_task_, MakersOf(db, kMakerOfTask, which.task->value));
    }
    return fitting;
  }

  bool IsMaker(std::int64_t task) const {
    return (!which_.job || of_job_.contains(task)) && (!which_.task || of_task_.contains(task));
  }

  bool Fits(const std::string& worker, const std::string& toolchain, std::int64_t at_ms) const {
    const std::int64_t before = which_.made_before_unix_ms == 0
                                    ? std::numeric_limits<std::int64_t>::max()
                                    : which_.made_before_unix_ms;
    return (which_.worker.empty() || which_.worker == worker) &&
           (which_.toolchain_version.empty() || which_.toolchain_version == toolchain) &&
           at_ms >= which_.made_from_unix_ms && at_ms < before;
  }

 private:
  explicit Fitting(const domain::ResultSelection& which) : which_(which) {}

  const domain::ResultSelection& which_;
  Makers of_job_;
  Makers of_task_;
};

}  // namespace

Result<Found> Results(Database& db, const domain::ResultSelection& which, std::int64_t after,
                      std::int64_t limit) {
  TYLLM_ASSIGN(const Fitting fitting, Fitting::Of(db, which));
  TYLLM_ASSIGN(Rows rows, db.Query(kResults, after, limit));
  Found found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    found.looked_at.last = rows.Integer(0);
    if (!fitting.IsMaker(rows.Integer(2))) {
      continue;
    }
    const bool known = !rows.IsNull(3);
    if (!known && !which.unknown_maker) {
      ++found.looked_at.unknown;
    } else if (!known || fitting.Fits(rows.Text(3), rows.Text(4), rows.Integer(5))) {
      found.keys.push_back(rows.Digest(1).value_or(Sha256{}));
      ++found.looked_at.fit;
    }
  }
}

Result<std::vector<Sha256>> Unfinished(Database& db, const domain::ResultSelection& which) {
  TYLLM_ASSIGN(const Fitting fitting, Fitting::Of(db, which));
  TYLLM_ASSIGN(Rows rows, db.Query(kUnfinished));
  std::set<Sha256> keys;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return std::vector<Sha256>(keys.begin(), keys.end());
    }
    const bool known = !rows.IsNull(2);
    const bool fits =
        known ? fitting.Fits(rows.Text(2), rows.Text(3), rows.Integer(4)) : which.unknown_maker;
    if (fits && fitting.IsMaker(rows.Integer(1))) {
      keys.insert(rows.Digest(0).value_or(Sha256{}));
    }
  }
}

}  // namespace tyllm::server::store::made_results
