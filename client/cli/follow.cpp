// SPDX-License-Identifier: Apache-2.0
#include "client/cli/follow.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "client/cli/show.h"
#include "client/cli/tell.h"
#include "common/base/guarded.h"
#include "common/base/pause.h"
#include "common/base/terminal.h"

namespace tyllm::client {

namespace {

constexpr Milliseconds kPlainPeriod{5000};
constexpr std::int64_t kBarWidth = 24;
/// When the server is asked first, and how often, what a job waits for.
constexpr Milliseconds kFirstOutlook{2000};
constexpr Milliseconds kOutlookPeriod{10'000};
constexpr std::size_t kWaitingTold = 3;

/// Of failures that are the user's; the other blames follow in their order.
constexpr int kFirstBlame = 12;

}  // namespace

cli::ExitCode ExitOf(const domain::JobView& job) {
  switch (job.state) {
    case domain::JobState::kSucceeded:
      return cli::ExitCode::kOk;
    case domain::JobState::kFailed:
      return job.failure
                 ? static_cast<cli::ExitCode>(kFirstBlame + static_cast<int>(job.failure->blame))
                 : cli::ExitCode::kJobFailed;
    case domain::JobState::kCancelled:
      return cli::ExitCode::kJobCancelled;
    case domain::JobState::kQueued:
    case domain::JobState::kRunning:
    case domain::JobState::kCancelling:
      break;
  }
  return cli::ExitCode::kFailed;
}

std::string Bar(std::int64_t done, std::int64_t total, std::int64_t width) {
  const std::int64_t part = total <= 0 ? 0 : std::clamp<std::int64_t>(done, 0, total);
  const std::int64_t full = total <= 0 ? 0 : part * width / total;
  return fmt::format("[{}{}] {:3}%", std::string(static_cast<std::size_t>(full), '#'),
                     std::string(static_cast<std::size_t>(width - full), '.'),
                     total <= 0 ? 0 : part * 100 / total);
}

std::vector<std::string> WaitingLines(const domain::JobView& job) {
  std::vector<std::string> lines;
  for (const domain::TaskView& task : job.tasks) {
    if (domain::IsHeld(task.state)) {
      return {};
    }
    // Those that wait for others of the job say nothing that these do not say.
    if (!task.pending || task.pending->reason == domain::PendingReason::kInputs ||
        task.pending->reason == domain::PendingReason::kStarting) {
      continue;
    }
    std::string line = Printable(task.label) + " waits: " + Printable(task.pending->message);
    if (task.pending->expected_wait_ms >= 0) {
      line += "; expected to start in " + Duration(task.pending->expected_wait_ms);
    }
    lines.push_back(std::move(line));
  }
  if (lines.size() > kWaitingTold) {
    const std::size_t more = lines.size() - kWaitingTold;
    lines.resize(kWaitingTold);
    lines.push_back(fmt::format("and {} more wait", more));
  }
  return lines;
}

JobDisplay::JobDisplay(std::FILE* out, bool terminal, const Clock& clock)
    : out_(out), terminal_(terminal), clock_(clock) {}

JobDisplay::~JobDisplay() {
  Erase();
}

void JobDisplay::Erase() {
  if (drawn_ > 0) {
    TellTo(out_, "\x1b[{}A\x1b[J", drawn_);
    drawn_ = 0;
  }
}

void JobDisplay::Draw() {
  const std::size_t columns = TerminalColumns(::fileno(out_)) - 1;
  for (const auto& [id, task] : running_) {
    const std::string line = fmt::format("  {:<16} {} {}", Printable(task.label),
                                         Bar(task.progress.done, task.progress.total, kBarWidth),
                                         Describe(task.progress));
    TellTo(out_, "{}\n", CutToColumns(line, columns));
    ++drawn_;
  }
  if (!outlook_.empty()) {
    TellTo(out_, "{}", outlook_);
    drawn_ += static_cast<int>(std::ranges::count(outlook_, '\n'));
  }
}

void JobDisplay::ShowOutlook(const domain::JobView& job) {
  const std::size_t columns = terminal_ ? TerminalColumns(::fileno(out_)) - 1 : std::string::npos;
  std::string outlook;
  for (const std::string& line : WaitingLines(job)) {
    const std::string shown = (terminal_ ? "  " : "") + line;
    outlook += CutToColumns(shown, columns);
    outlook += "\n";
  }
  if (terminal_ && outlook.empty() && !IsFinal(job.state) && job.expected_end_unix_ms > 0) {
    outlook = "  expected to end at " + When(job.expected_end_unix_ms) + "\n";
  }
  if (outlook == outlook_) {
    return;
  }
  if (terminal_) {
    Erase();
    outlook_ = std::move(outlook);
    Draw();
    return;
  }
  TellTo(out_, "{}", outlook);
  outlook_ = std::move(outlook);
}

bool JobDisplay::IsDue(const domain::TaskView& task) {
  auto& [stage, when] = said_[task.id];
  const Clock::Steady now = clock_.Now();
  if (stage == task.progress.stage && now - when < kPlainPeriod) {
    return false;
  }
  stage = task.progress.stage;
  when = now;
  return !stage.empty();
}

void JobDisplay::Show(const domain::JobEvent& event) {
  if (event.task) {
    if (domain::IsHeld(event.task->state)) {
      running_[event.task->id] = *event.task;
      outlook_.clear();
    } else {
      running_.erase(event.task->id);
    }
  }
  if (terminal_) {
    Erase();
  }
  if (event.number > 0) {
    TellTo(out_, "{}{}\n", Printable(event.text),
           event.by.empty() ? "" : " (by " + Printable(event.by) + ")");
  } else if (!terminal_ && event.task && IsDue(*event.task)) {
    TellTo(out_, "{}: {}\n", Printable(event.task->label), Describe(event.task->progress));
  }
  if (terminal_) {
    Draw();
  }
}

cli::ExitCode SayHowToComeBack(const Session& session, domain::JobId job) {
  Tell(
      "{0} goes on without you. Come back with: {1} watch {0}\n"
      "or end it with: {1} cancel {0}\n",
      job.ToString(), session.CommandLine());
  return cli::ExitCode::kInterrupted;
}

cli::ExitCode FollowJob(Farm& farm, const Session& session, domain::JobId job, bool json) {
  const std::stop_token& stop = session.stop();
  Result<domain::JobState> end = Cancelled("");
  {
    Guarded<JobDisplay> display(stderr, ::isatty(STDERR_FILENO) == 1, session.clock());
    const std::jthread outlook([&](const std::stop_token& over) {
      Milliseconds wait = kFirstOutlook;
      while (!json && PauseFor(std::exchange(wait, kOutlookPeriod), over)) {
        if (const auto view = farm.Get(job, over); view.ok()) {
          auto shown = display.Lock();
          shown->ShowOutlook(*view);
        }
      }
    });
    end = farm.Watch(
        job, 0,
        [&](const domain::JobEvent& event) {
          if (!json) {
            auto shown = display.Lock();
            shown->Show(event);
          }
        },
        stop);
  }
  if (stop.stop_requested()) {
    return SayHowToComeBack(session, job);
  }
  if (!end.ok()) {
    return cli::ReportError(end.status(), json);
  }
  domain::JobView view;
  view.state = *end;
  if (*end == domain::JobState::kFailed) {
    if (auto found = farm.Get(job, stop); found.ok()) {
      view = *std::move(found);
    }
    if (view.failure && !json) {
      Tell("{} failed: {}", job.ToString(), Describe(*view.failure));
    }
  }
  return ExitOf(view);
}

}  // namespace tyllm::client
