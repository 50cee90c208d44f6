// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/pieces_in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "common/base/parallel.h"

namespace tyllm::compile {
namespace {

PiecesInOrder::Bytes PieceOf(std::int64_t number) {
  return PiecesInOrder::Bytes(1, static_cast<std::byte>(number));
}

TEST(PiecesInOrder, AreTakenInTheirOrderWhoeverMakesThem) {
  constexpr std::int64_t kPieces = 200;
  for (const std::int64_t ahead : {1, 2, 7}) {
    std::vector<std::int64_t> taken;  // one thread at a time
    PiecesInOrder order(ahead, [&](PiecesInOrder::Bytes piece) {
      taken.push_back(static_cast<std::int64_t>(piece[0]));
      return OkStatus();
    });
    ThreadPool pool(4);
    pool.ParallelFor(kPieces, [&](std::int64_t i) {
      ASSERT_TRUE(order.Begin(i));
      if (i % 17 == 0) {
        std::this_thread::yield();
      }
      order.End(i, PieceOf(i));
    });
    EXPECT_TRUE(order.status().ok());
    std::vector<std::int64_t> expected(kPieces);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(taken, expected);
  }
}

TEST(PiecesInOrder, AnEarlyPieceWaitsForTheOneBeforeIt) {
  std::vector<std::int64_t> taken;
  PiecesInOrder order(3, [&](PiecesInOrder::Bytes piece) {
    taken.push_back(static_cast<std::int64_t>(piece[0]));
    return OkStatus();
  });
  ASSERT_TRUE(order.Begin(0) && order.Begin(1) && order.Begin(2));
  order.End(2, PieceOf(2));
  order.End(1, PieceOf(1));
  EXPECT_TRUE(taken.empty());
  order.End(0, PieceOf(0));
  EXPECT_EQ(taken, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(PiecesInOrder, NobodyIsFurtherAheadThanIsAllowed) {
  PiecesInOrder order(2, [](PiecesInOrder::Bytes) { return OkStatus(); });
  ASSERT_TRUE(order.Begin(0) && order.Begin(1));
  std::atomic<bool> begun = false;
  std::jthread third([&] {
    begun = order.Begin(2);
    order.End(2, PieceOf(2));
  });
  order.End(1, PieceOf(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(begun);
  order.End(0, PieceOf(0));
  third.join();
  EXPECT_TRUE(begun);
}

TEST(PiecesInOrder, WhatFailsEndsAllOfIt) {
  std::atomic<int> taken = 0;
  PiecesInOrder full(4, [&](PiecesInOrder::Bytes) {
    return ++taken == 3 ? ResourceExhausted("the disk is full") : OkStatus();
  });
  ThreadPool pool(4);
  pool.ParallelFor(100, [&](std::int64_t i) {
    if (full.Begin(i)) {
      full.End(i, PieceOf(i));
    }
  });
  EXPECT_EQ(taken, 3);
  EXPECT_EQ(full.status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(full.Begin(3));

  PiecesInOrder broken(4, [](PiecesInOrder::Bytes) { return OkStatus(); });
  pool.ParallelFor(100, [&](std::int64_t i) {
    if (!broken.Begin(i)) {
      return;
    }
    i == 40 ? broken.Fail(DataLoss("piece 40")) : broken.End(i, PieceOf(i));
  });
  EXPECT_EQ(broken.status().message(), "piece 40");
}

}  // namespace
}  // namespace tyllm::compile
