// SPDX-License-Identifier: Apache-2.0
#include "server/core/watch_job.h"

namespace tyllm::server::core {

namespace {

constexpr std::int64_t kEventsAtATime = 256;

struct Seen {
  std::vector<domain::JobEvent> events;
  domain::JobView job;
};

std::string Describe(const domain::TaskView& task) {
  const domain::Progress& progress = task.progress;
  std::string text = task.label + ": " + progress.stage;
  if (progress.total > 0) {
    text += " " + std::to_string(progress.done) + "/" + std::to_string(progress.total) + " " +
            progress.unit;
  }
  return progress.message.empty() ? text : text + " (" + progress.message + ")";
}

}  // namespace

JobWatch::JobWatch(Farm& farm, domain::JobId job, std::int64_t after_event)
    : farm_(farm), job_(job), after_event_(after_event), changes_(farm.signals, Topic::Of(job)) {}

boost::asio::awaitable<Result<JobEvents>> JobWatch::Next(Milliseconds wait) {
  const Clock::Steady until = farm_.parts.clock.Now() + wait;
  while (true) {
    Result<JobEvents> found = co_await Read();
    const auto left = std::chrono::duration_cast<Milliseconds>(until - farm_.parts.clock.Now());
    if (!found.ok() || found->final || !found->events.empty() || left.count() <= 0) {
      co_return found;
    }
    if (!co_await changes_.Wait(left)) {
      co_return found;
    }
  }
}

boost::asio::awaitable<Result<JobEvents>> JobWatch::Read() {
  TYLLM_CO_ASSIGN(Seen seen,
                  co_await farm_.parts.store.Look([&](store::Queue& queue) -> Result<Seen> {
                    Seen all;
                    TYLLM_ASSIGN(all.events, queue.EventsAfter(job_, after_event_, kEventsAtATime));
                    TYLLM_ASSIGN(all.job, queue.GetJob(job_));
                    return all;
                  }));
  JobEvents found{.events = std::move(seen.events)};
  if (!found.events.empty()) {
    after_event_ = found.events.back().number;
  }
  // Progress belongs after the events that led to it.
  if (after_event_ >= seen.job.last_event) {
    found.final = IsFinal(seen.job.state);
    farm_.attempts.AddProgress(seen.job);
    AddProgress(seen.job, found.events);
  }
  co_return found;
}

void JobWatch::AddProgress(const domain::JobView& job, std::vector<domain::JobEvent>& events) {
  for (const domain::TaskView& task : job.tasks) {
    if (!IsHeld(task.state) || task.progress == domain::Progress{} ||
        shown_[task.id] == task.progress) {
      continue;
    }
    shown_[task.id] = task.progress;
    events.push_back({.number = 0,
                      .unix_ms = farm_.parts.clock.UnixMillis(),
                      .text = Describe(task),
                      .job_state = job.state,
                      .task = task});
  }
}

}  // namespace tyllm::server::core
