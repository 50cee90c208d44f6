// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_syncer.h"

#include <utility>

namespace tyllm::server::store {

LogSyncer::LogSyncer(std::unique_ptr<LogSync> log, Hooks hooks)
    : log_(std::move(log)), hooks_(std::move(hooks)), thread_([this] { Run(); }) {}

LogSyncer::~LogSyncer() {
  Stop();
}

void LogSyncer::BeginCommit() {
  auto view = state_.Lock();
  ++view->begun;
}

void LogSyncer::EndCommit(Commit commit) {
  std::list<Held> released;
  Status fault;
  {
    auto view = state_.Lock();
    view->ended = view->begun;
    view->held.push_back({view->ended, std::move(commit.operations), commit.status,
                          commit.wrote ? std::move(commit.on_durable) : nullptr});
    if (commit.wrote) {
      view->wrote = true;
      busy_ = true;
    }
    if (!busy_) {
      view->durable = view->ended;
      released = TakeReleased(*view);
      fault = view->fault;
    }
  }
  if (busy_) {
    state_.Notify();
  }
  Release(std::move(released), fault);
}

std::int64_t LogSyncer::begun() {
  auto view = state_.Lock();
  return view->begun;
}

void LogSyncer::Answer(Operations operations, const Status& status, std::int64_t commit) {
  Status told = status;
  {
    auto view = state_.Lock();
    if (commit > view->durable) {
      view->held.push_back({commit, std::move(operations), status, nullptr});
      return;
    }
    if (!view->fault.ok()) {
      told = view->fault;
    }
  }
  Finish(std::move(operations), told);
}

void LogSyncer::Stop() {
  {
    auto view = state_.Lock();
    view->stopped = true;
  }
  state_.Notify();
  if (thread_.joinable()) {
    thread_.join();
  }
}

// In the order in which they came.
std::list<LogSyncer::Held> LogSyncer::TakeReleased(State& state) {
  std::list<Held> released;
  for (auto next = state.held.begin(); next != state.held.end();) {
    const auto held = next++;
    if (held->commit <= state.durable) {
      released.splice(released.end(), state.held, held);
    }
  }
  return released;
}

void LogSyncer::Release(std::list<Held> released, const Status& fault) {
  for (Held& held : released) {
    if (held.on_durable && fault.ok()) {
      held.on_durable();
    }
    Finish(std::move(held.operations), fault.ok() ? held.status : fault);
  }
}

void LogSyncer::Run() {
  while (true) {
    std::int64_t ended = 0;
    {
      auto view = state_.Lock();
      view.Wait([](const State& state) { return state.stopped || state.wrote; });
      if (!view->wrote) {
        return;
      }
      view->wrote = false;
      ended = view->ended;
    }
    SyncTo(ended);
  }
}

void LogSyncer::SyncTo(std::int64_t commit) {
  if (broken_.ok()) {
    broken_ = log_->Sync();
    if (!broken_.ok()) {
      hooks_.on_fault(broken_);
    }
  }
  std::list<Held> released;
  Status fault;
  bool idle = false;
  {
    auto view = state_.Lock();
    fault = view->fault = broken_;
    idle = !view->wrote;
    // What has come since and wrote nothing needs no sync of its own.
    view->durable = idle ? view->ended : commit;
    busy_ = !idle;
    released = TakeReleased(*view);
  }
  if (idle) {
    hooks_.on_idle();
  }
  Release(std::move(released), fault);
}

}  // namespace tyllm::server::store
