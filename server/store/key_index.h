// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "common/base/digest.h"

namespace tyllm::server::store {

/// Which rows of a table have a key, in memory: keys are digests, and an index over them in the
/// file would write a page for each row that comes or goes (docs/adr/0104-keys-in-memory.md). It
/// changes and changes back with the transaction that changes the rows. Threads: one.
class KeyIndex {
 public:
  using RowId = std::int64_t;

  /// Before the first transaction; `rows` there will be.
  void Reserve(std::size_t rows) { first_.reserve(rows); }

  void Add(const Sha256& key, RowId row);
  /// Nothing when it is not there.
  void Remove(const Sha256& key, RowId row);
  /// Rows that may have this key, the lowest first: all that have it, and perhaps one in 2^64
  /// that has another.
  std::vector<RowId> Find(const Sha256& key) const;

  /// Whether Find gives any, and whether it gives more than one.
  bool Has(const Sha256& key) const { return first_.contains(PrefixOf(key)); }

  bool HasSeveral(const Sha256& key) const { return others_.contains(PrefixOf(key)); }

  std::size_t size() const { return size_; }

  // Changes since the last Keep.
  std::size_t changes() const { return changes_.size(); }

  /// Undoes all but the first `changes` of them.
  void Undo(std::size_t changes);

  void Keep() { changes_.clear(); }

 private:
  /// A key's first eight bytes: of a digest they are as good as any.
  using Prefix = std::uint64_t;

  struct Change {
    Prefix prefix;
    RowId row;
    bool added;
  };

  static Prefix PrefixOf(const Sha256& key);
  bool Insert(Prefix prefix, RowId row);
  bool Erase(Prefix prefix, RowId row);

  boost::unordered_flat_map<Prefix, RowId> first_;      ///< the lowest row of each
  std::unordered_map<Prefix, std::set<RowId>> others_;  ///< where there are several
  std::size_t size_ = 0;
  std::vector<Change> changes_;
};

}  // namespace tyllm::server::store
