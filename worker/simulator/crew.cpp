// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/crew.h"

#include "worker/simulator/active_wait.h"

namespace tyllm::simulator {

namespace {

/// Some 0.3 ms: what lies between two tokens.
constexpr int kSpins = 20000;

}  // namespace

Crew::Crew(int workers) {
  for (int worker = 1; worker < workers; ++worker) {
    others_.emplace_back([this, worker] { Serve(worker); });
  }
}

Crew::~Crew() {
  work_ = nullptr;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
}

void Crew::Run(const std::function<void(std::int64_t)>& work) {
  if (others_.empty()) {
    return work(0);
  }
  work_ = &work;
  running_.store(static_cast<std::uint32_t>(others_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  work(0);
  for (std::uint32_t left = running_.load(std::memory_order_acquire); left > 0;
       left = running_.load(std::memory_order_acquire)) {
    WaitWhile(running_, left, kSpins);
  }
}

void Crew::Serve(std::int64_t worker) {
  for (std::uint32_t round = 0;; ++round) {
    WaitWhile(round_, round, kSpins);
    if (work_ == nullptr) {
      return;
    }
    (*work_)(worker);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      running_.notify_all();
    }
  }
}

}  // namespace tyllm::simulator
