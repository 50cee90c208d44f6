// SPDX-License-Identifier: Apache-2.0
#include "client/cli/follow.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "client/cli/transfer.h"

namespace tyllm::client {
namespace {

/// What a display wrote.
class Screen {
 public:
  Screen() : out_(::open_memstream(&text_, &size_)) {}

  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  ~Screen() {
    std::fclose(out_);
    std::free(text_);  // NOLINT: open_memstream allocates with malloc
  }

  std::FILE* out() { return out_; }

  std::string Text() {
    std::fflush(out_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* out_;
};

domain::JobEvent Progress(std::int64_t done, const std::string& stage = "quantize") {
  domain::JobEvent event;
  domain::TaskView task;
  task.id = {1};
  task.label = "quantize";
  task.state = domain::TaskState::kLeased;
  task.progress = {stage, done, 10, "layers", ""};
  event.task = task;
  return event;
}

domain::JobEvent Said(const std::string& text) {
  domain::JobEvent event;
  event.number = 1;
  event.text = text;
  return event;
}

TEST(JobDisplay, OnATerminalThatIsGoneEndsNothing) {
  ManualClock clock;
  std::FILE* const full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  {
    JobDisplay display(full, true, clock);
    display.Show(Progress(1));
    display.Show(Said("goes on"));
  }
  std::fclose(full);
}

TEST(JobDisplay, BarsFitTheTerminal) {
  ManualClock clock;
  // The 80 columns of a terminal that does not tell its width.
  Screen screen;
  JobDisplay display(screen.out(), true, clock);
  domain::JobEvent event = Progress(5, std::string(200, 's'));
  event.task->label = "a label that is longer than its column";
  display.Show(event);
  const std::string text = screen.Text();
  const std::string row = text.substr(text.find("  a label"));
  EXPECT_EQ(row.find('\n'), 79U) << text;
}

TEST(TransferLine, OfALongPathTheEndIsShownAndTheNumbersAlways) {
  const std::string numbers = ": 1 KB of 2 KB, 1 KB/s";
  EXPECT_EQ(TransferLine("sending model", numbers, 79), "sending model" + numbers);
  const std::string line = TransferLine(
      "sending /home/someone/models/" + std::string(60, 'm') + "/Qwen3-8B", numbers, 39);
  EXPECT_EQ(line.size(), 39U);
  EXPECT_EQ(line, "...mmmmm/Qwen3-8B" + numbers);
  EXPECT_EQ(TransferLine("sending model", numbers, 10).size(), 10U);
}

TEST(JobDisplay, PlainOutputSaysEveryEventButNotEveryProgress) {
  ManualClock clock;
  Screen screen;
  {
    JobDisplay display(screen.out(), false, clock);
    display.Show(Said("started"));
    display.Show(Progress(1));
    display.Show(Progress(2));
    clock.Advance(Milliseconds(6000));
    display.Show(Progress(5));
    display.Show(Progress(0, "write"));
    display.Show(Said("ended"));
  }
  EXPECT_EQ(screen.Text(),
            "started\nquantize: quantize 1 of 10 layers\nquantize: quantize 5 of 10 layers\n"
            "quantize: write 0 of 10 layers\nended\n");
}

TEST(JobDisplay, OnATerminalTheBarIsRedrawnBelowTheEventsAndGoneAtTheEnd) {
  const ManualClock clock;
  Screen screen;
  {
    JobDisplay display(screen.out(), true, clock);
    display.Show(Progress(5));
    EXPECT_NE(screen.Text().find("[############............]  50%"), std::string::npos);
    display.Show(Said("news"));
  }
  const std::string text = screen.Text();
  EXPECT_NE(text.find("\x1b[1A\x1b[Jnews\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\x1b[1A\x1b[J")) << text;
}

TEST(JobDisplay, ATaskThatEndedHasNoBar) {
  const ManualClock clock;
  Screen screen;
  {
    JobDisplay display(screen.out(), true, clock);
    display.Show(Progress(5));
    domain::JobEvent end = Progress(10);
    end.number = 2;
    end.text = "quantize succeeded";
    end.task->state = domain::TaskState::kSucceeded;
    display.Show(end);
  }
  EXPECT_TRUE(screen.Text().ends_with("quantize succeeded\n"));
}

TEST(ExitOf, TellsWhoseTurnItIs) {
  domain::JobView job;
  const auto code = [&] { return static_cast<int>(ExitOf(job)); };
  job.state = domain::JobState::kSucceeded;
  EXPECT_EQ(code(), 0);
  job.state = domain::JobState::kCancelled;
  EXPECT_EQ(code(), 6);
  job.state = domain::JobState::kFailed;
  EXPECT_EQ(code(), 5);
  int expected = 12;  // docs/manual/exit-codes.md
  for (const domain::Blame blame :
       {domain::Blame::kUser, domain::Blame::kModel, domain::Blame::kToolchain,
        domain::Blame::kWorker, domain::Blame::kFarm}) {
    job.failure = domain::Failure{.blame = blame};
    EXPECT_EQ(code(), expected++);
  }
}

TEST(Bar, IsFullOnlyAtTheEnd) {
  EXPECT_EQ(Bar(0, 10, 4), "[....]   0%");
  EXPECT_EQ(Bar(9, 10, 4), "[###.]  90%");
  EXPECT_EQ(Bar(10, 10, 4), "[####] 100%");
  EXPECT_EQ(Bar(12, 10, 4), "[####] 100%");
  EXPECT_EQ(Bar(3, 0, 4), "[....]   0%");
}

}  // namespace
}  // namespace tyllm::client
