// SPDX-License-Identifier: Apache-2.0
#include "server/store/callers.h"

namespace tyllm::server::store::callers {

namespace {

constexpr Sql kFind{"SELECT id FROM callers WHERE name = ?1"};
constexpr Sql kInsert{"INSERT INTO callers(name) VALUES(?1)"};

}  // namespace

Result<std::optional<std::int64_t>> FindOrMake(Database& db, const std::string& name) {
  if (name.empty()) {
    return std::optional<std::int64_t>();
  }
  {
    TYLLM_ASSIGN(Rows rows, db.Query(kFind, name));
    TYLLM_ASSIGN(const bool found, rows.Next());
    if (found) {
      return std::optional(rows.Integer(0));
    }
  }
  TYLLM_TRY(db.Change(kInsert, name).status());
  return std::optional(db.last_insert_id());
}

}  // namespace tyllm::server::store::callers
