// SPDX-License-Identifier: Apache-2.0
#include "client/cli/follow.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "client/cli/show.h"
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

domain::JobView Queued() {
  domain::JobView job;
  domain::TaskView task;
  task.label = "quantize";
  task.state = domain::TaskState::kQueued;
  task.pending = domain::Pending{.reason = domain::PendingReason::kBusy,
                                 .message = "2 tasks before it",
                                 .expected_wait_ms = 90'000};
  job.tasks.push_back(task);
  task.label = "evaluate";
  task.pending = domain::Pending{.reason = domain::PendingReason::kInputs, .message = "inputs"};
  job.tasks.push_back(task);
  return job;
}

TEST(JobDisplay, SaysWhatAJobWaitsForWhenThatChanges) {
  ManualClock clock;
  Screen screen;
  JobDisplay display(screen.out(), false, clock);
  domain::JobView job = Queued();
  display.ShowOutlook(job);
  display.ShowOutlook(job);
  job.tasks[0].pending->message = "1 task before it";
  job.tasks[0].pending->expected_wait_ms = -1;
  display.ShowOutlook(job);
  job.tasks[0].pending.reset();
  job.tasks[0].state = domain::TaskState::kLeased;
  display.ShowOutlook(job);
  EXPECT_EQ(screen.Text(), "quantize waits: 2 tasks before it; expected to start in " +
                               Duration(90'000) + "\nquantize waits: 1 task before it\n");
}

TEST(JobDisplay, OnATerminalWhatAJobWaitsForIsRedrawnAndGoneWhenItRuns) {
  ManualClock clock;
  Screen screen;
  JobDisplay display(screen.out(), true, clock);
  display.ShowOutlook(Queued());
  display.Show(Said("news"));
  EXPECT_TRUE(
      screen.Text().ends_with("\x1b[1A\x1b[Jnews\n  quantize waits: 2 tasks before it; "
                              "expected to start in " +
                              Duration(90'000) + "\n"))
      << screen.Text();
  display.Show(Progress(5));
  const std::string text = screen.Text();
  EXPECT_EQ(text.find("waits", text.rfind("\x1b[J")), std::string::npos) << text;
}

TEST(JobDisplay, OfManyThatWaitAFewAreTold) {
  domain::JobView job = Queued();
  job.tasks.resize(6, job.tasks[0]);
  for (domain::TaskView& task : job.tasks) {
    task.pending = job.tasks[0].pending;
  }
  const std::vector<std::string> lines = WaitingLines(job);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines.back(), "and 3 more wait");
}

TEST(TransferNumbers, SayHowLongItStillTakes) {
  EXPECT_EQ(TransferNumbers(1'500'000'000, 3'000'000'000, 1'000'000'000, 10),
            ": " + Bytes(1'500'000'000) + " of " + Bytes(3'000'000'000) + ", " +
                Bytes(100'000'000) + "/s, " + Duration(15'000) + " left");
  EXPECT_EQ(TransferNumbers(5, 10, 0, 0), ": " + Bytes(5) + " of " + Bytes(10) + ", 0 B/s");
  EXPECT_FALSE(TransferNumbers(10, 10, 10, 1).ends_with("left"));
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
