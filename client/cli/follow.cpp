// SPDX-License-Identifier: Apache-2.0
#include "client/cli/follow.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "client/cli/show.h"
#include "client/cli/tell.h"
#include "common/base/terminal.h"

namespace tyllm::client {

namespace {

constexpr Milliseconds kPlainPeriod{5000};
constexpr std::int64_t kBarWidth = 24;

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
    } else {
      running_.erase(event.task->id);
    }
  }
  if (terminal_) {
    Erase();
  }
  if (event.number > 0) {
    TellTo(out_, "{}\n", Printable(event.text));
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
    JobDisplay display(stderr, ::isatty(STDERR_FILENO) == 1, session.clock());
    end = farm.Watch(
        job, 0,
        [&](const domain::JobEvent& event) {
          if (!json) {
            display.Show(event);
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
