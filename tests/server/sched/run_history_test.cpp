// SPDX-License-Identifier: Apache-2.0
#include "server/sched/run_history.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::TaskKind;

domain::TaskSpec Quantization(const std::string& model, std::int64_t samples = 128) {
  domain::TaskSpec task{.kind = TaskKind::kQuantize, .name = model};
  task.quantize.samples = samples;
  return task;
}

SeenRun Ran(std::int64_t ms, std::int64_t gpu_memory = 0, std::int64_t memory = 0) {
  return {.run_ms = ms, .used = {.memory_bytes = memory, .gpu_memory_bytes = gpu_memory}};
}

SeenRun TooSmall(std::int64_t gpu_memory) {
  return {.gpu_too_small = gpu_memory};
}

TEST(SizeClass, TellsApartWhatTakesMoreOrLess) {
  const SizeClass size = SizeClassOf(Quantization("m"));
  EXPECT_EQ(SizeClassOf(Quantization("m")), size);
  EXPECT_NE(SizeClassOf(Quantization("n")), size);
  EXPECT_NE(SizeClassOf(Quantization("m", 16)), size);
  domain::TaskSpec method = Quantization("m");
  method.quantize.method = domain::QuantizeMethod::kRtn;
  EXPECT_NE(SizeClassOf(method), size);
  domain::TaskSpec die{.kind = TaskKind::kCompileDie, .name = "m"};
  domain::TaskSpec of_four = die;
  of_four.compile.dies = 4;
  EXPECT_NE(SizeClassOf(die), SizeClassOf(of_four));
  of_four.compile.dies = 1;
  of_four.die = 3;
  EXPECT_EQ(SizeClassOf(die), SizeClassOf(of_four)) << "any die of it";
}

TEST(RunHistory, TimesAreOfTheClassAndOfNoOtherModel) {
  RunHistory history;
  const SizeClass m = SizeClassOf(Quantization("m"));
  const SizeClass n = SizeClassOf(Quantization("n"));
  EXPECT_EQ(history.TimesOf(m), std::nullopt);
  for (const std::int64_t ms : {30, 10, 20}) {
    history.Note(m, Ran(ms));
  }
  EXPECT_EQ(history.TimesOf(m), (RunTimes{10, 20, 30}));
  EXPECT_EQ(history.TimesOf(n), std::nullopt) << "another model may be of any size";
  history.Note(n, TooSmall(7));
  EXPECT_EQ(history.TimesOf(n), std::nullopt) << "it has no time";
  history.Note(n, Ran(500));
  EXPECT_EQ(history.TimesOf(n), (RunTimes{500, 500, 500}));
  EXPECT_EQ(history.TimesOf(m), (RunTimes{10, 20, 30}));
  EXPECT_EQ(history.TimesOf({.kind = TaskKind::kConvert}), std::nullopt);
}

TEST(RunHistory, OnlyTheLastRunsCount) {
  RunHistory history;
  const SizeClass m = SizeClassOf(Quantization("m"));
  history.Note(m, Ran(9999, 80, 70));
  for (std::size_t i = 0; i < RunHistory::kRuns; ++i) {
    history.Note(m, Ran(10, 20, 30));
  }
  EXPECT_EQ(history.TimesOf(m)->high, 10);
  EXPECT_EQ(history.MostUsed(m).gpu_memory_bytes, 20);
  EXPECT_EQ(history.MostUsed(m).memory_bytes, 30);
  EXPECT_TRUE(history.WantMoreThan(20).empty());
}

TEST(RunHistory, WhatAGpuWantsIsBoundedFromBothSides) {
  struct Case {
    std::vector<SeenRun> runs;
    std::int64_t wants;
  };

  const std::vector<Case> cases = {
      {{}, 0},
      {{Ran(1)}, 0},                                  // on a CPU
      {{Ran(1, 30), Ran(1, 20)}, 30},                 // the most
      {{TooSmall(24)}, 25},                           // more than that
      {{TooSmall(24), TooSmall(40)}, 41},             //
      {{TooSmall(24), Ran(1, 60)}, 60},               // it was seen then
      {{TooSmall(24), Ran(1, 20)}, 20},               // it got smaller, or somebody else was there
      {{Ran(1, 20), TooSmall(24)}, 25},               // it got larger
      {{TooSmall(24), Ran(1)}, 25},                   // one on a CPU says nothing of GPUs
      {{TooSmall(40), Ran(1, 20), TooSmall(24)}, 25}  // the last word on each
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    RunHistory history;
    const SizeClass m = SizeClassOf(Quantization("m"));
    for (const SeenRun& run : cases[i].runs) {
      history.Note(m, run);
    }
    EXPECT_EQ(history.MostUsed(m).gpu_memory_bytes, cases[i].wants) << i;
    EXPECT_EQ(history.WantMoreThan(0).contains(m), cases[i].wants > 0) << i;
    EXPECT_TRUE(history.WantMoreThan(cases[i].wants).empty()) << i;
  }
}

TEST(RunHistory, ForgetsTheClassesThatNobodyAskedForLongest) {
  RunHistory history;
  for (std::size_t i = 0; i < RunHistory::kClasses + 1; ++i) {
    history.Note(SizeClassOf(Quantization("m" + std::to_string(i))), Ran(1, 8));
  }
  const auto known = history.WantMoreThan(0);
  EXPECT_LT(known.size(), RunHistory::kClasses);
  EXPECT_GT(known.size(), RunHistory::kClasses / 4);
  EXPECT_FALSE(known.contains(SizeClassOf(Quantization("m0"))));
  EXPECT_TRUE(
      known.contains(SizeClassOf(Quantization("m" + std::to_string(RunHistory::kClasses)))));
}

}  // namespace
}  // namespace tyllm::server::sched
