// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <vector>

namespace tyllm::simulator {
namespace {

constexpr std::size_t kColumns = 37;
constexpr std::size_t kSegments = 9;
constexpr std::uint32_t kPhases = 2;

/// Shares of the two phases where one of them is for one worker.
constexpr std::array<std::uint16_t, kPhases> kOneWorker = {1, die::kMaxParts};

/// Mixes what it got with numbers of its own; every third segment has no collective.
class MixingDie final : public DieProgram {
 public:
  MixingDie(int die, int group, std::span<const std::uint16_t> shares = {}) : die_(die) {
    for (std::size_t s = 0; s < kSegments; ++s) {
      const bool sums = s % 3 != 2;
      segments_.push_back({sums ? die::Collective::kAllReduceSum : die::Collective::kNone,
                           sums ? static_cast<std::int64_t>(kColumns) : 0, kPhases, group, shares});
    }
  }

  std::span<const SegmentEnd> segments() const override { return segments_; }

  void Begin(const Call& call) override {
    numbers_.assign(static_cast<std::size_t>(call.tokens()) * kColumns, 1.0F);
    between_ = numbers_;
    order_.clear();
    done_ = 0;
  }

  /// Each part reads what the other parts of the phase before wrote.
  void Run(std::size_t segment, std::size_t phase, die::Part part) override {
    if (done_.fetch_add(part.span) % part.count == 0) {
      order_.push_back(segment * kPhases + phase);
    }
    const std::vector<float>& from = phase == 0 ? numbers_ : between_;
    std::vector<float>& to = phase == 0 ? between_ : numbers_;
    const die::Slice mine = part.Of(static_cast<std::uint32_t>(to.size()));
    for (std::size_t i = mine.begin; i < mine.end; ++i) {
      to[i] = from[i] * 0.37F + from[from.size() - 1 - i] * 0.21F +
              1.0F / static_cast<float>(i + segment + 3) + static_cast<float>(die_) * 0.1F;
    }
  }

  void Fetch(std::size_t segment, std::size_t phase, die::Part part) override {
    EXPECT_LT(segment * kPhases + phase, kSegments * kPhases);
    EXPECT_LT(part.index, part.count);
    ++fetches_;
  }

  float* CollectiveBuffer(std::size_t /*segment*/) override { return numbers_.data(); }

  const float* Logits() const override { return numbers_.data(); }

  const std::vector<float>& numbers() const { return numbers_; }

  const std::vector<std::size_t>& order() const { return order_; }

  int fetches() const { return fetches_; }

 private:
  int die_;
  std::vector<SegmentEnd> segments_;
  std::vector<float> numbers_;
  std::vector<float> between_;
  std::atomic<std::uint32_t> done_ = 0;
  std::vector<std::size_t> order_;
  std::atomic<int> fetches_ = 0;
};

struct Machine {
  explicit Machine(int count, int group = 0, int first = 0,
                   std::span<const std::uint16_t> shares = {}) {
    for (int d = 0; d < count; ++d) {
      dies.push_back(std::make_unique<MixingDie>(first + d, group == 0 ? count : group, shares));
      pointers.push_back(dies.back().get());
    }
  }

  std::vector<float> Run(Executor& executor, const std::vector<std::int32_t>& tokens,
                         const SegmentObserver& observer = {}) {
    for (const auto& die : dies) {
      die->Begin({tokens, {}, 0});
    }
    executor.Run(pointers, std::ssize(tokens), observer);
    return dies[0]->numbers();
  }

  std::vector<std::unique_ptr<MixingDie>> dies;
  std::vector<DieProgram*> pointers;
};

/// The same by plain loops: dies first .. first + count - 1 among themselves.
Machine RunPlainly(int count, const std::vector<std::int32_t>& tokens, int first = 0) {
  Machine machine(count, count, first);
  for (const auto& die : machine.dies) {
    die->Begin({tokens, {}, 0});
  }
  for (std::size_t s = 0; s < kSegments; ++s) {
    for (const auto& die : machine.dies) {
      for (std::size_t phase = 0; phase < kPhases; ++phase) {
        die->Run(s, phase, {});
      }
    }
    if (s % 3 == 2) {
      continue;
    }
    for (std::size_t i = 0; i < tokens.size() * kColumns; ++i) {
      float sum = machine.dies[0]->CollectiveBuffer(s)[i];
      for (std::size_t d = 1; d < machine.dies.size(); ++d) {
        sum += machine.dies[d]->CollectiveBuffer(s)[i];
      }
      for (const auto& die : machine.dies) {
        die->CollectiveBuffer(s)[i] = sum;
      }
    }
  }
  return machine;
}

TEST(Executor, SumsInDieOrderWhateverTheNumberOfThreads) {
  const std::vector<std::int32_t> tokens(5, 0);
  for (int dies = 1; dies <= 4; ++dies) {
    const std::vector<float> expected = RunPlainly(dies, tokens).dies[0]->numbers();
    for (int threads = 1; threads <= 5; ++threads) {
      Executor executor(dies, threads);
      Machine machine(dies);
      for (int repeat = 0; repeat < 20; ++repeat) {
        ASSERT_EQ(machine.Run(executor, tokens), expected) << dies << " dies, " << threads;
      }
    }
  }
}

TEST(Executor, WhatIsForOneWorkerIsDoneOnceAndInItsTurn) {
  const std::vector<std::int32_t> tokens(5, 0);
  const std::vector<float> expected = RunPlainly(1, tokens).dies[0]->numbers();
  for (int threads = 1; threads <= 4; ++threads) {
    Executor executor(1, threads);
    Machine machine(1, 0, 0, kOneWorker);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::vector<std::size_t> seen;
      const auto observe = [&](std::size_t segment, std::span<const float> /*numbers*/) {
        seen.push_back(segment);
      };
      ASSERT_EQ(machine.Run(executor, tokens, repeat % 2 == 0 ? SegmentObserver() : observe),
                expected)
          << threads << " threads";
      EXPECT_EQ(seen.size(), repeat % 2 == 0 ? 0 : kSegments);
    }
    EXPECT_EQ(machine.dies[0]->fetches() > 0, threads > 1);  // one worker does all without meeting
  }
}

TEST(Executor, SegmentsRunOneAfterTheOtherAsTheyDoTogether) {
  const std::vector<std::int32_t> tokens(5, 0);
  const Machine expected = RunPlainly(3, tokens);
  Executor executor(3, 2);
  Machine machine(3);
  for (const auto& die : machine.dies) {
    die->Begin({tokens, {}, 0});
  }
  for (std::size_t s = 0; s < kSegments; ++s) {
    std::vector<std::size_t> seen;
    executor.Run(
        machine.pointers, std::ssize(tokens),
        [&](std::size_t segment, std::span<const float> /*numbers*/) { seen.push_back(segment); },
        {s, s + 1});
    EXPECT_EQ(seen, std::vector<std::size_t>{s});
  }
  for (std::size_t die = 0; die < 3; ++die) {
    EXPECT_EQ(machine.dies[die]->numbers(), expected.dies[die]->numbers()) << die;
  }
}

TEST(Executor, GroupsOfDiesSumApart) {
  const std::vector<std::int32_t> tokens(3, 0);
  const Machine pairs[] = {RunPlainly(2, tokens), RunPlainly(2, tokens, 2)};
  for (int threads = 1; threads <= 3; ++threads) {
    Executor executor(4, threads);
    Machine machine(4, 2);
    machine.Run(executor, tokens);
    for (std::size_t die = 0; die < 4; ++die) {
      EXPECT_EQ(machine.dies[die]->numbers(), pairs[die / 2].dies[die % 2]->numbers()) << die;
    }
  }
}

TEST(Executor, HasAsManyWorkersAsAreAskedForWhateverTheNumberOfDies) {
  EXPECT_EQ(Executor(1, 2).workers(), 2);
  EXPECT_EQ(Executor(4, 3).workers(), 3);
  EXPECT_EQ(Executor(1, 1000).workers(), die::kMaxParts);
  EXPECT_GE(Executor(1).workers(), 1);
}

TEST(Executor, RunsEveryPhaseOfEveryDieOnceAndInOrder) {
  Machine machine(3);
  Executor executor(3, 2);
  machine.Run(executor, {1, 2});
  for (const auto& die : machine.dies) {
    ASSERT_EQ(die->order().size(), kSegments * kPhases);
    EXPECT_TRUE(std::is_sorted(die->order().begin(), die->order().end()));
  }
}

TEST(Executor, LogsEveryPartAndSumInTheOrderOfAWorker) {
  Machine machine(3);
  Executor executor(3, 2);
  TaskLog log;
  executor.Record(&log);
  machine.Run(executor, {1, 2});
  executor.Record(nullptr);
  ASSERT_EQ(log.size(), 2U);
  std::size_t parts = 0;
  std::size_t sums = 0;
  std::set<std::array<std::uint32_t, 3>> ran;
  for (const std::vector<TaskSpan>& spans : log) {
    for (std::size_t i = 0; i < spans.size(); ++i) {
      if (spans[i].phase != TaskSpan::kCollective) {
        ran.insert({spans[i].segment, spans[i].phase, spans[i].die});
      }
      (spans[i].phase == TaskSpan::kCollective ? sums : parts) += 1;
      EXPECT_LE(spans[i].begin, spans[i].end);
      EXPECT_TRUE(i == 0 || spans[i - 1].end <= spans[i].begin);
    }
  }
  // How many parts each phase of each die was cut into depends on who was early.
  EXPECT_EQ(ran.size(), 3 * kSegments * kPhases);
  EXPECT_EQ(sums, 2 * kSegments / 3 * 2);
  machine.Run(executor, {1, 2});
  EXPECT_EQ(log[0].size() + log[1].size(), parts + sums);
}

TEST(Executor, ObserverSeesTheSumsOfEverySegmentInOrder) {
  Machine machine(2);
  Executor executor(2, 2);
  std::vector<std::size_t> seen;
  std::vector<float> last;
  machine.Run(executor, {1, 2, 3}, [&](std::size_t segment, std::span<const float> numbers) {
    EXPECT_EQ(numbers.size(), segment % 3 == 2 ? 0U : 3 * kColumns);
    seen.push_back(segment);
  });
  EXPECT_EQ(seen, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

}  // namespace
}  // namespace tyllm::simulator
