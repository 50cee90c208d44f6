// SPDX-License-Identifier: Apache-2.0
#include "server/core/whole_trees.h"

#include <gtest/gtest.h>

namespace tyllm::server::core {
namespace {

const BlobId kTree{DigestOf("tree"), 4};
const BlobId kOther{DigestOf("other"), 5};
const Clock::Steady kStart{std::chrono::hours(1)};

TEST(WholeTreesTest, AreTrustedForTwoSecondsFromWhenTheyWereLookedAt) {
  WholeTrees trees;
  EXPECT_FALSE(trees.Find(kTree, kStart).has_value());
  trees.Note(kTree, {.bytes = 7, .files = 2}, kStart);
  const auto found = trees.Find(kTree, kStart + Milliseconds(1999));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->bytes, 7);
  EXPECT_EQ(found->files, 2U);
  EXPECT_FALSE(trees.Find(kOther, kStart).has_value());
  EXPECT_FALSE(trees.Find(kTree, kStart + Milliseconds(2000)).has_value());
  trees.Note(kTree, {.bytes = 7, .files = 2}, kStart + Milliseconds(2000));
  EXPECT_TRUE(trees.Find(kTree, kStart + Milliseconds(2000)).has_value());
}

TEST(WholeTreesTest, AreForgottenWhenBlobsAreAboutToGo) {
  WholeTrees trees;
  trees.Note(kTree, {.bytes = 7, .files = 2}, kStart);
  trees.Clear();
  EXPECT_FALSE(trees.Find(kTree, kStart).has_value());
}

}  // namespace
}  // namespace tyllm::server::core
