// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "server/store/database.h"
#include "server/store/key_index.h"

namespace tyllm::server::store {

/// Rows by digests, of the connection that writes. Changes with the tables, and changes back when
/// a transaction or a part of it is undone.
struct Keys {
  // Tasks by action key.
  KeyIndex firsts;     ///< that are queued, may use the cache and wait for no other
  KeyIndex others;     ///< all others that are queued
  KeyIndex held;       ///< that are leased or being cancelled
  KeyIndex results;    ///< rows of the table actions, by action key
  KeyIndex requests;   ///< rows of the table requests, by the digest of the request id
  bool known = false;  ///< LoadKeys has filled them

  /// Where they are in the transaction; as it is made, its beginning.
  struct Mark {
    std::size_t firsts = 0;
    std::size_t others = 0;
    std::size_t held = 0;
    std::size_t results = 0;
    std::size_t requests = 0;
  };

  Mark mark() const {
    return {firsts.changes(), others.changes(), held.changes(), results.changes(),
            requests.changes()};
  }

  void Return(const Mark& mark) {
    firsts.Undo(mark.firsts);
    others.Undo(mark.others);
    held.Undo(mark.held);
    results.Undo(mark.results);
    requests.Undo(mark.requests);
  }

  /// The transaction is committed.
  void Keep() {
    firsts.Keep();
    others.Keep();
    held.Keep();
    results.Keep();
    requests.Keep();
  }
};

/// Fills empty ones from the tables: 30 MB and a second or two for a million of each.
Status LoadKeys(Database& db, Keys& keys);
/// Whether they are what LoadKeys would make of the tables; for tests.
Result<bool> AreTrue(Database& db, const Keys& keys);
/// Of a connection that only looks kInternal: the one that writes is to be asked.
Status CheckKnown(const Keys& keys);

}  // namespace tyllm::server::store
