// SPDX-License-Identifier: Apache-2.0
#include "client/cli/when.h"

#include <gtest/gtest.h>

#include <ctime>

namespace tyllm::client {
namespace {

constexpr std::int64_t kNow = 1'795'867'200'000;

TEST(ParseWhen, TakesTimesOfTheCalendarAndTimesAgo) {
  EXPECT_EQ(*ParseWhen("1970-01-02Z", kNow), 86'400'000);
  EXPECT_EQ(*ParseWhen("2026-11-28T12:00:30Z", kNow), 1'795'867'230'000);
  EXPECT_EQ(*ParseWhen("2026-11-28 12:00Z", kNow), kNow);
  EXPECT_EQ(*ParseWhen("30m", kNow), kNow - 1'800'000);
  EXPECT_EQ(*ParseWhen("0s", kNow), kNow);
  EXPECT_EQ(*ParseWhen("7d", kNow), kNow - 604'800'000);
}

TEST(ParseWhen, TakesLocalTimeWithoutZ) {
  std::tm local{};
  const std::time_t noon = kNow / 1000;
  ::localtime_r(&noon, &local);
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local));
  EXPECT_EQ(*ParseWhen(text, kNow), kNow);
}

TEST(ParseWhen, RefusesWhatIsNoTime) {
  for (const char* const text :
       {"", "yesterday", "2h30", "h", "-3h", "1.5h", "2026-13-01", "2026-02-30Z",
        "2026-11-28 25:00", "2026-11-28 12:00 x", "99999999999999d", "2026-11-28ZZ"}) {
    const auto when = ParseWhen(text, kNow);
    EXPECT_EQ(when.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_NE(when.status().message().find("expected"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace tyllm::client
