// SPDX-License-Identifier: Apache-2.0
#include "server/store/key_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tyllm::server::store {
namespace {

using RowId = KeyIndex::RowId;

/// Few, so that they meet; two of them begin with the same eight bytes.
Sha256 KeyOf(std::uint64_t number) {
  Sha256 key;
  key.bytes[0] = static_cast<std::uint8_t>(number / 2);
  key.bytes[31] = static_cast<std::uint8_t>(number);
  return key;
}

using Model = std::map<std::uint8_t, std::set<RowId>>;

std::vector<RowId> RowsOf(const Model& model, const Sha256& key) {
  const auto rows = model.find(key.bytes[0]);
  return rows == model.end() ? std::vector<RowId>()
                             : std::vector<RowId>(rows->second.begin(), rows->second.end());
}

std::size_t SizeOf(const Model& model) {
  std::size_t size = 0;
  for (const auto& [prefix, rows] : model) {
    size += rows.size();
  }
  return size;
}

TEST(KeyIndex, RandomChangesMarksAndReturnsAreThoseOfASetOfRowsForEachPrefix) {
  constexpr std::uint64_t kKeys = 12;
  std::mt19937_64 random(7);
  KeyIndex index;
  Model model;
  Model kept;
  Model at_mark;
  std::size_t mark = 0;
  for (int step = 0; step < 200'000; ++step) {
    const Sha256 key = KeyOf(random() % kKeys);
    const auto row = static_cast<RowId>(random() % 6);
    switch (random() % 16) {
      case 0:
        index.Keep();
        kept = at_mark = model;
        mark = 0;
        break;
      case 1:
        index.Undo(0);
        model = at_mark = kept;
        mark = 0;
        break;
      case 2:
        mark = index.changes();
        at_mark = model;
        break;
      case 3:
        index.Undo(mark);
        model = at_mark;
        break;
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        index.Remove(key, row);
        model[key.bytes[0]].erase(row);
        break;
      default:
        index.Add(key, row);
        model[key.bytes[0]].insert(row);
    }
    const Sha256 asked = KeyOf(random() % kKeys);
    ASSERT_EQ(index.Find(asked), RowsOf(model, asked)) << "step " << step;
    ASSERT_EQ(index.size(), SizeOf(model)) << "step " << step;
  }
}

}  // namespace
}  // namespace tyllm::server::store
