// SPDX-License-Identifier: Apache-2.0
#include "server/app/embedded_worker.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace tyllm::server::app {

namespace {

constexpr int kLifelineNumber = 3;  ///< in the child
constexpr Milliseconds kFirstPause{500};
constexpr Milliseconds kLongestPause{30'000};
constexpr Milliseconds kStable{60'000};  ///< having run for so long, it starts again at once

}  // namespace

EmbeddedWorker::EmbeddedWorker(std::vector<std::string> argv, const Clock& clock,
                               telemetry::Log& log)
    : argv_(std::move(argv)), clock_(clock), log_(log), next_start_(clock.Now()) {}

Status EmbeddedWorker::Start() {
  TYLLM_ASSIGN(lifeline_, MakePipe());
  CommandLine command;
  command.argv = argv_;
  command.argv.insert(command.argv.end(), {"--lifeline-fd", std::to_string(kLifelineNumber)});
  command.descriptors = {{STDERR_FILENO, STDERR_FILENO}, {lifeline_.read.get(), kLifelineNumber}};
  TYLLM_ASSIGN(auto child, ChildProcess::Spawn(command));
  child_.emplace(std::move(child));
  lifeline_.read.Reset();
  started_ = clock_.Now();
  return OkStatus();
}

void EmbeddedWorker::TakeNoteOfEnd(const std::string& how) {
  child_.reset();
  const Clock::Steady now = clock_.Now();
  pause_ = now - started_ >= kStable ? Milliseconds(0)
                                     : std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  next_start_ = now + pause_;
  log_.Warning("the worker ended; it is started again",
               {{"how", how}, {"pause_ms", pause_.count()}});
}

void EmbeddedWorker::Tick() {
  if (child_) {
    const Result<std::optional<ExitStatus>> ended = child_->Poll();
    if (!ended.ok()) {
      log_.Error(ended.status().message());
    } else if (*ended) {
      TakeNoteOfEnd((*ended)->ToString());
    }
  }
  if (!child_ && clock_.Now() >= next_start_) {
    const Status status = Start();
    if (status.ok()) {
      log_.Info("worker process started", {{"pid", child_->pid()}});
    } else {
      started_ = clock_.Now();
      TakeNoteOfEnd(status.message());
    }
  }
}

void EmbeddedWorker::Stop(Milliseconds limit) {
  if (!child_) {
    return;
  }
  child_->SignalGroup(SIGTERM);
  if (!child_->Wait(limit).ok()) {
    log_.Warning("the worker did not end in time and is killed", {{"pid", child_->pid()}});
  }
  child_.reset();
}

}  // namespace tyllm::server::app
