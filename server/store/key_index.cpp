// SPDX-License-Identifier: Apache-2.0
#include "server/store/key_index.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tyllm::server::store {

KeyIndex::Prefix KeyIndex::PrefixOf(const Sha256& key) {
  Prefix prefix = 0;
  std::memcpy(&prefix, key.bytes.data(), sizeof(prefix));
  return prefix;
}

void KeyIndex::Add(const Sha256& key, RowId row) {
  const Prefix prefix = PrefixOf(key);
  if (Insert(prefix, row)) {
    changes_.push_back({prefix, row, true});
  }
}

void KeyIndex::Remove(const Sha256& key, RowId row) {
  const Prefix prefix = PrefixOf(key);
  if (Erase(prefix, row)) {
    changes_.push_back({prefix, row, false});
  }
}

std::vector<KeyIndex::RowId> KeyIndex::Find(const Sha256& key) const {
  std::vector<RowId> rows;
  const Prefix prefix = PrefixOf(key);
  if (const auto first = first_.find(prefix); first != first_.end()) {
    rows.push_back(first->second);
    if (const auto others = others_.find(prefix); others != others_.end()) {
      rows.insert(rows.end(), others->second.begin(), others->second.end());
    }
  }
  return rows;
}

void KeyIndex::Undo(std::size_t changes) {
  while (changes_.size() > changes) {
    const Change& last = changes_.back();
    last.added ? Erase(last.prefix, last.row) : Insert(last.prefix, last.row);
    changes_.pop_back();
  }
}

bool KeyIndex::Insert(Prefix prefix, RowId row) {
  const auto [first, is_new] = first_.try_emplace(prefix, row);
  if (!is_new) {
    if (first->second == row) {
      return false;
    }
    const RowId other = std::max(first->second, row);
    first->second = std::min(first->second, row);
    if (!others_[prefix].insert(other).second) {
      return false;
    }
  }
  ++size_;
  return true;
}

bool KeyIndex::Erase(Prefix prefix, RowId row) {
  const auto first = first_.find(prefix);
  if (first == first_.end()) {
    return false;
  }
  const auto others = others_.find(prefix);
  if (others == others_.end()) {
    if (first->second != row) {
      return false;
    }
    first_.erase(first);
  } else {
    std::set<RowId>& rows = others->second;
    if (first->second == row) {
      first->second = *rows.begin();
      rows.erase(rows.begin());
    } else if (rows.erase(row) == 0) {
      return false;
    }
    if (rows.empty()) {
      others_.erase(others);
    }
  }
  --size_;
  return true;
}

}  // namespace tyllm::server::store
