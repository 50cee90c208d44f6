// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/crew.h"

#include <exception>
#include <utility>

#include "worker/simulator/active_wait.h"

namespace tyllm::simulator {

namespace {

/// Some 0.3 ms: what lies between two tokens.
constexpr int kSpins = 20000;

}  // namespace

Crew::Crew(int workers, const Start& start) {
  others_.reserve(static_cast<std::size_t>(workers > 0 ? workers - 1 : 0));
  for (int worker = 1; worker < workers; ++worker) {
    try {
      others_.push_back(start([this, worker] { Serve(worker); }));
    } catch (const std::exception&) {  // no thread, or no memory for one
      break;                           // results are the same with those that are there
    }
  }
}

std::jthread Crew::StartThread(std::function<void()> work) {
  return std::jthread(std::move(work));
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
