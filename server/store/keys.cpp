// SPDX-License-Identifier: Apache-2.0
#include "server/store/keys.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace tyllm::server::store {

namespace {

/// Where the rows of one index come from.
struct Source {
  KeyIndex Keys::* index;
  Sql count;
  Sql rows;       ///< id and key of each
  bool digested;  ///< the key is a digest, not a text to take one of
};

constexpr std::array kSources = {
    Source{&Keys::firsts,
           {"SELECT count(*) FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND waits = 0 AND "
            "use_cache = 1"},
           {"SELECT id, action_key FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND waits = "
            "0 AND use_cache = 1"},
           true},
    Source{&Keys::others,
           {"SELECT (SELECT count(*) FROM tasks INDEXED BY tasks_joined WHERE state = 1 AND waits "
            "= 1) + (SELECT count(*) FROM tasks INDEXED BY tasks_queued WHERE state = 1 AND waits "
            "= 0 AND use_cache = 0)"},
           {"SELECT id, action_key FROM tasks INDEXED BY tasks_joined WHERE state = 1 AND waits = "
            "1 UNION ALL SELECT id, action_key FROM tasks INDEXED BY tasks_queued WHERE state = 1 "
            "AND waits = 0 AND use_cache = 0"},
           true},
    Source{&Keys::held,
           {"SELECT count(*) FROM tasks INDEXED BY tasks_held WHERE state IN (2, 3)"},
           {"SELECT id, action_key FROM tasks INDEXED BY tasks_held WHERE state IN (2, 3)"},
           true},
    Source{&Keys::results, {"SELECT count(*) FROM actions"}, {"SELECT id, key FROM actions"}, true},
    Source{&Keys::requests,
           {"SELECT count(*) FROM requests"},
           {"SELECT id, request_id FROM requests"},
           false},
};

Result<std::size_t> CountOf(Database& db, const Source& source) {
  TYLLM_ASSIGN(Rows rows, db.Query(source.count));
  TYLLM_TRY(rows.Next().status());
  return static_cast<std::size_t>(rows.Integer(0));
}

/// Calls `note` with the key and the id of each row.
template <typename Note>
Status ForEach(Database& db, const Source& source, Note note) {
  TYLLM_ASSIGN(Rows rows, db.Query(source.rows));
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return OkStatus();
    }
    const auto key = source.digested ? rows.Digest(1) : DigestOf(rows.Text(1));
    if (!key) {
      return DataLoss("a row has no key where one is kept (" + std::string(source.rows.text) +
                      ", id " + std::to_string(rows.Integer(0)) +
                      "); run: tyllm-server fsck, and restore a backup");
    }
    note(*key, rows.Integer(0));
  }
}

}  // namespace

Status LoadKeys(Database& db, Keys& keys) {
  for (const Source& source : kSources) {
    KeyIndex& index = keys.*source.index;
    TYLLM_ASSIGN(const std::size_t count, CountOf(db, source));
    index.Reserve(count);
    TYLLM_TRY(
        ForEach(db, source, [&](const Sha256& key, KeyIndex::RowId row) { index.Add(key, row); }));
    index.Keep();
  }
  keys.known = true;
  return OkStatus();
}

Result<bool> AreTrue(Database& db, const Keys& keys) {
  bool all_true = true;
  for (const Source& source : kSources) {
    const KeyIndex& index = keys.*source.index;
    TYLLM_ASSIGN(const std::size_t count, CountOf(db, source));
    all_true = all_true && count == index.size();
    TYLLM_TRY(ForEach(db, source, [&](const Sha256& key, KeyIndex::RowId row) {
      all_true = all_true && std::ranges::count(index.Find(key), row) == 1;
    }));
  }
  return all_true;
}

Status CheckKnown(const Keys& keys) {
  return keys.known ? OkStatus()
                    : Internal(
                          "asked of a connection that only looks: which rows have a key is "
                          "known where they are written");
}

}  // namespace tyllm::server::store
