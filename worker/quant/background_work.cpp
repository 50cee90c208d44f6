// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/background_work.h"

#include <utility>

namespace tyllm::quant {

namespace {

/// A decoder layer's output each.
constexpr std::size_t kMostWaiting = 4;

}  // namespace

BackgroundWork::BackgroundWork(bool threaded) {
  if (threaded) {
    thread_.emplace([this] { Run(); });
  }
}

BackgroundWork::~BackgroundWork() {
  {
    auto state = state_.Lock();
    state->closing = true;
    state->waiting.clear();
  }
  state_.Notify();
}

Status BackgroundWork::Start(std::function<Status()> work) {
  if (!thread_) {
    return work();
  }
  auto state = state_.Lock();
  state.Wait([](const State& s) { return s.waiting.size() < kMostWaiting || !s.status.ok(); });
  if (state->status.ok()) {
    state->waiting.push_back(std::move(work));
    state_.Notify();
  }
  return state->status;
}

Status BackgroundWork::Finish() {
  auto state = state_.Lock();
  state.Wait([](const State& s) { return s.waiting.empty() && !s.busy; });
  return state->status;
}

void BackgroundWork::Run() {
  for (;;) {
    std::function<Status()> work;
    {
      auto state = state_.Lock();
      state.Wait([](const State& s) { return s.closing || !s.waiting.empty(); });
      if (state->closing) {
        return;
      }
      work = std::move(state->waiting.front());
      state->waiting.pop_front();
      state->busy = true;
    }
    Status status = work();
    work = nullptr;  // what it holds goes before anyone is told
    {
      auto state = state_.Lock();
      state->busy = false;
      if (!status.ok()) {
        state->status = std::move(status);
        state->waiting.clear();
      }
    }
    state_.Notify();
  }
}

}  // namespace tyllm::quant
