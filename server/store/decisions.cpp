// SPDX-License-Identifier: Apache-2.0
#include "server/store/decisions.h"

#include <iterator>

#include "server/store/attempts.h"

namespace tyllm::server::store::decisions {

namespace {

constexpr std::int64_t kKept = 100;

constexpr Sql kLast{"SELECT coalesce(max(number), 0) FROM decisions WHERE task = ?1"};
constexpr Sql kInsert{"INSERT INTO decisions(task, number, at_ms, text) VALUES(?1, ?2, ?3, ?4)"};
constexpr Sql kTrim{"DELETE FROM decisions WHERE task = ?1 AND number <= ?2"};
constexpr Sql kOf{"SELECT at_ms, text FROM decisions WHERE task = ?1 ORDER BY number"};

Result<std::int64_t> Last(Database& db, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(kLast, task.value));
  TYLLM_TRY(rows.Next().status());
  return rows.Integer(0);
}

Result<std::vector<domain::Decision>> Noted(Database& db, TaskId task) {
  TYLLM_ASSIGN(Rows rows, db.Query(kOf, task.value));
  std::vector<domain::Decision> found;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return found;
    }
    found.push_back({.unix_ms = rows.Integer(0), .text = rows.Text(1)});
  }
}

}  // namespace

Status Insert(Database& db, TaskId task, const std::string& text, std::int64_t now) {
  TYLLM_ASSIGN(const std::int64_t last, Last(db, task));
  TYLLM_TRY(db.Change(kInsert, task.value, last + 1, now, text).status());
  return last < kKept ? OkStatus() : db.Change(kTrim, task.value, last + 1 - kKept).status();
}

Result<std::vector<domain::Decision>> Of(Database& db, TaskId task) {
  TYLLM_ASSIGN(const std::vector<domain::Decision> noted, Noted(db, task));
  TYLLM_ASSIGN(const std::vector<domain::Decision> given, attempts::Given(db, task));
  std::vector<domain::Decision> all;
  auto note = noted.begin();
  // Of one moment, an attempt is given before it is judged, and judged before the next is given.
  bool runs = false;  // the last one given has not been judged
  for (const domain::Decision& gift : given) {
    while (note != noted.end() &&
           (note->unix_ms < gift.unix_ms || (runs && note->unix_ms == gift.unix_ms))) {
      all.push_back(*note++);
      runs = false;
    }
    all.push_back(gift);
    runs = true;
  }
  all.insert(all.end(), note, noted.end());
  if (std::ssize(all) > kKept) {
    all.erase(all.begin(), all.end() - kKept);
  }
  return all;
}

}  // namespace tyllm::server::store::decisions
