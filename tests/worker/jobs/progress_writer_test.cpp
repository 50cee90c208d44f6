// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/progress_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "common/base/child_process.h"

namespace tyllm::jobs {
namespace {

class ProgressWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<Pipe> pipe = MakePipe();
    ASSERT_TRUE(pipe.ok());
    pipe_ = *std::move(pipe);
    ASSERT_EQ(::fcntl(pipe_.read.get(), F_SETFL, O_NONBLOCK), 0);
  }

  // What was written since the last call.
  std::string Written() {
    std::string text(1 << 16, '\0');
    const ssize_t got = ::read(pipe_.read.get(), text.data(), text.size());
    return text.substr(0, got > 0 ? static_cast<std::size_t>(got) : 0);
  }

  static domain::Progress At(const char* stage, std::int64_t done) {
    return {stage, done, 10, "layers", ""};
  }

  static std::string Line(const char* stage, int done) {
    return std::string("{\"stage\":\"") + stage + "\",\"done\":" + std::to_string(done) +
           ",\"total\":10,\"unit\":\"layers\",\"message\":\"\"}\n";
  }

  Pipe pipe_;
  ManualClock clock_;
};

TEST_F(ProgressWriterTest, WritesTheFirstRecordAtOnceAndDropsFastOnes) {
  ProgressWriter writer(pipe_.write.get(), ProgressStyle::kJsonLines, clock_);
  writer.Report(At("quantize", 0));
  EXPECT_EQ(Written(), Line("quantize", 0));
  writer.Report(At("quantize", 1));
  writer.Report(At("quantize", 2));
  EXPECT_EQ(Written(), "");
  clock_.Advance(Milliseconds(1000));
  writer.Report(At("quantize", 3));
  EXPECT_EQ(Written(), Line("quantize", 3));
}

TEST_F(ProgressWriterTest, NeverLosesTheLastOfAStage) {
  ProgressWriter writer(pipe_.write.get(), ProgressStyle::kJsonLines, clock_);
  writer.Report(At("quantize", 1));
  writer.Report(At("quantize", 10));
  EXPECT_EQ(Written(), Line("quantize", 1) + Line("quantize", 10));
  writer.Report(At("pack", 1));
  writer.Report(At("pack", 4));
  writer.Report(At("check", 1));
  EXPECT_EQ(Written(), Line("pack", 1) + Line("pack", 4) + Line("check", 1));
}

TEST_F(ProgressWriterTest, WritesWhatIsHeldBackWhenItEnds) {
  {
    ProgressWriter writer(pipe_.write.get(), ProgressStyle::kJsonLines, clock_);
    writer.Report(At("quantize", 1));
    writer.Report(At("quantize", 2));
  }
  EXPECT_EQ(Written(), Line("quantize", 1) + Line("quantize", 2));
}

TEST_F(ProgressWriterTest, WritesPlainLinesForPeople) {
  ProgressWriter writer(pipe_.write.get(), ProgressStyle::kPlainLines, clock_);
  writer.Report({"calibrate", 3, 8, "samples", "layer 2"});
  EXPECT_EQ(Written(), "calibrate 3/8 samples (37 %): layer 2\n");
  writer.Report({"load", 0, 0, "bytes", ""});
  EXPECT_EQ(Written(), "load\n");
}

TEST_F(ProgressWriterTest, RedrawsATerminalLineAndClearsItAtTheEnd) {
  {
    ProgressWriter writer(pipe_.write.get(), ProgressStyle::kTerminalLine, clock_);
    writer.Report({"load", 1, 2, "files", std::string(300, 'x')});
    const std::string drawn = Written();
    EXPECT_EQ(drawn.rfind("\r\x1b[Kload 1/2 files (50 %): x", 0), 0U);
    EXPECT_LT(drawn.size(), 90U);
  }
  EXPECT_EQ(Written(), "\r\x1b[K");
}

TEST_F(ProgressWriterTest, SurvivesAReaderThatWentAway) {
  std::signal(SIGPIPE, SIG_IGN);
  ProgressWriter writer(pipe_.write.get(), ProgressStyle::kJsonLines, clock_);
  pipe_.read.Reset();
  writer.Report(At("quantize", 1));
  writer.Report(At("quantize", 10));
}

}  // namespace
}  // namespace tyllm::jobs
