// SPDX-License-Identifier: Apache-2.0
#include "server/sched/time_left.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using std::chrono::seconds;

constexpr Clock::Steady kBegan{seconds(100)};

domain::Progress At(std::int64_t done, std::int64_t total) {
  return {.stage = "quantize", .done = done, .total = total, .unit = "layers", .message = ""};
}

TEST(StageLeft, ThePaceOfTheStageGoesOn) {
  const Clock::Steady now = kBegan + seconds(30);
  EXPECT_EQ(StageLeft(At(3, 10), {kBegan, 0}, now, now), 70'000);
  EXPECT_EQ(StageLeft(At(3, 10), {kBegan, 2}, now, now), 210'000) << "it went on from 2";
  EXPECT_EQ(StageLeft(At(3, 10), {kBegan, 0}, now, now + seconds(5)), 65'000);
  EXPECT_EQ(StageLeft(At(3, 10), {kBegan, 0}, now, now + seconds(500)), 0);
  EXPECT_EQ(StageLeft(At(10, 10), {kBegan, 0}, now, now), 0);
}

TEST(StageLeft, NothingIsToldFromNothing) {
  const Clock::Steady now = kBegan + seconds(30);
  EXPECT_EQ(StageLeft(At(3, 0), {kBegan, 0}, now, now), std::nullopt) << "no total";
  EXPECT_EQ(StageLeft(At(3, 10), {kBegan, 3}, now, now), std::nullopt) << "no step";
  EXPECT_EQ(StageLeft(At(3, 10), {kBegan, 0}, kBegan, now), std::nullopt) << "no time";
  EXPECT_EQ(StageLeft({}, {}, {}, now), std::nullopt);
}

TEST(TimeLeft, TableOfWhatIsKnown) {
  struct Case {
    const char* says;
    std::optional<std::int64_t> usual;
    std::int64_t ran;
    std::optional<std::int64_t> stage;
    std::optional<std::int64_t> left;
  };

  const std::vector<Case> cases = {
      {"tasks like it", 100, 40, {}, 60},
      {"tasks like it, and a stage of it", 100, 40, 10, 60},
      {"its stage alone takes longer", 100, 40, 90, 90},
      {"overdue, its progress tells", 100, 400, 35, 35},
      {"overdue, nothing tells", 100, 400, {}, {}},
      {"never seen", {}, 40, {}, {}},
      {"never seen: a stage is not the whole", {}, 40, 35, {}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(TimeLeft(c.usual, c.ran, c.stage), c.left) << c.says;
  }
}

}  // namespace
}  // namespace tyllm::server::sched
