// SPDX-License-Identifier: Apache-2.0
#include "common/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "common/base/guarded.h"

namespace tyllm {

namespace {

int UsableCpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return 1;
}

struct Round {
  std::uint64_t number = 0;
  const std::function<void(std::int64_t)>* body = nullptr;
  std::int64_t count = 0;
  int running = 0;
  bool stop = false;
};

}  // namespace

struct ThreadPool::State {
  Guarded<Round> round;
  std::atomic<std::int64_t> next = 0;
  std::vector<std::jthread> workers;

  void Drain(const std::function<void(std::int64_t)>& body, std::int64_t count) {
    for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      body(i);
    }
  }

  void Work() {
    std::uint64_t seen = 0;
    while (true) {
      const std::function<void(std::int64_t)>* body = nullptr;
      std::int64_t count = 0;
      {
        auto view = round.Lock();
        view.Wait([&](const Round& r) { return r.stop || r.number != seen; });
        if (view->stop) {
          return;
        }
        seen = view->number;
        body = view->body;
        count = view->count;
      }
      Drain(*body, count);
      {
        auto view = round.Lock();
        --view->running;
      }
      round.Notify();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int wanted = threads > 0 ? threads : UsableCpus();
  // One that cannot be made is done without: results do not depend on how many there are.
  try {
    state_->workers.reserve(static_cast<std::size_t>(wanted));
    for (int i = 1; i < wanted; ++i) {
      state_->workers.emplace_back([state = state_.get()] { state->Work(); });
    }
  } catch (const std::exception&) {
    return;
  }
}

ThreadPool::~ThreadPool() {
  {
    auto view = state_->round.Lock();
    view->stop = true;
  }
  state_->round.Notify();
}

int ThreadPool::threads() const {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::ParallelFor(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (count <= 0) {
    return;
  }
  if (state_->workers.empty() || count == 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      body(i);
    }
    return;
  }
  {
    auto view = state_->round.Lock();
    view->body = &body;
    view->count = count;
    view->running = static_cast<int>(state_->workers.size());
    ++view->number;
    state_->next = 0;
  }
  state_->round.Notify();
  state_->Drain(body, count);
  auto view = state_->round.Lock();
  view.Wait([](const Round& r) { return r.running == 0; });
}

}  // namespace tyllm
