// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/time_left.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::compile {
namespace {

class Recorder final : public domain::ProgressSink {
 public:
  void Report(const domain::Progress& progress) override { records.push_back(progress); }

  std::vector<domain::Progress> records;
};

/// 10 s of checking, 20 of packing, 30 of compiling, 40 of each of the others.
constexpr CompileTime kExpected{10, 20, 30, 40, 40};

TEST(TimeLeftTest, ComesFromWhatIsExpectedAndHowFastItWentSoFar) {
  ManualClock clock;
  Recorder recorder;
  TimeLeft progress(recorder, clock);
  progress.Report({"check", 0, 10, "bytes", "digest"});
  EXPECT_EQ(recorder.records.back().message, "digest");  // nothing is expected yet
  progress.Expect(kExpected);
  progress.Report({"check", 0, 10, "bytes", "digest"});
  EXPECT_EQ(recorder.records.back().message, "digest, about 3 min left");
  clock.Advance(std::chrono::seconds(30));  // half as fast as expected
  progress.Report({"pack", 5, 20, "bytes", ""});
  EXPECT_EQ(recorder.records.back().message, "about 5 min left");
  clock.Advance(std::chrono::seconds(250));
  progress.Report({"verify", 40, 40, "tokens", ""});
  EXPECT_EQ(recorder.records.back().message, "about 1 s left");
}

TEST(TimeLeftTest, StagesThatNothingIsExpectedOfAreAsTheyWere) {
  ManualClock clock;
  Recorder recorder;
  TimeLeft progress(recorder, clock);
  progress.Expect(kExpected);
  progress.Report({"assemble", 0, 1, "artifacts", "x"});
  EXPECT_EQ(recorder.records.back().message, "x");
}

}  // namespace
}  // namespace tyllm::compile
