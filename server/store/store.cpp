// SPDX-License-Identifier: Apache-2.0
#include "server/store/store.h"

#include <deque>
#include <thread>
#include <vector>

#include "common/base/guarded.h"

namespace tyllm::server::store {

namespace {

constexpr std::size_t kMostInABatch = 256;
constexpr Milliseconds kLongestBatch{2};

}  // namespace

struct Store::Thread {
  struct Inbox {
    std::deque<std::unique_ptr<Operation>> operations;
    bool stopped = false;
  };

  Thread(std::unique_ptr<Queue> given, const Clock& given_clock, OnCommit given_on_commit)
      : queue(std::move(given)), clock(given_clock), on_commit(std::move(given_on_commit)) {}

  void Loop();
  void RunBatch(std::unique_ptr<Operation> first);
  void RunAlone(Operation& operation);
  /// With `wait` the next operation, else the next if it is there and may join a transaction.
  std::unique_ptr<Operation> Take(bool wait);
  void NoteHealth(const Result<bool>& committed);

  std::unique_ptr<Queue> queue;
  const Clock& clock;
  const OnCommit on_commit;
  Guarded<Inbox> inbox;
  Guarded<Status> health;
  std::thread thread;
};

std::unique_ptr<Store::Operation> Store::Thread::Take(bool wait) {
  auto view = inbox.Lock();
  if (wait) {
    view.Wait([](const Inbox& box) { return box.stopped || !box.operations.empty(); });
  }
  if (view->operations.empty() || (!wait && view->operations.front()->alone())) {
    return nullptr;
  }
  auto operation = std::move(view->operations.front());
  view->operations.pop_front();
  return operation;
}

void Store::Thread::Loop() {
  while (auto first = Take(true)) {
    if (first->alone()) {
      RunAlone(*first);
    } else {
      RunBatch(std::move(first));
    }
  }
}

void Store::Thread::RunAlone(Operation& operation) {
  const Status broken = queue->broken();
  if (broken.ok()) {
    static_cast<void>(operation.Perform(*queue));  // the operation hands its own result on
  }
  operation.Finish(broken);
}

void Store::Thread::RunBatch(std::unique_ptr<Operation> first) {
  const Clock::Steady begun = clock.Now();
  std::vector<std::unique_ptr<Operation>> batch;
  const Status opened = queue->Begin();
  auto next = std::move(first);
  while (next) {
    if (opened.ok() && queue->SetMark().ok()) {
      // A mark that cannot be kept or reverted has spoiled the transaction: Commit will say so.
      const Status kept = next->Perform(*queue).ok() ? queue->KeepMark() : queue->RevertToMark();
      static_cast<void>(kept);
    }
    batch.push_back(std::move(next));
    if (opened.ok() && batch.size() < kMostInABatch && clock.Now() - begun < kLongestBatch) {
      next = Take(false);
    }
  }
  const Result<bool> committed = opened.ok() ? queue->Commit() : opened;
  if (!committed.ok()) {
    queue->Rollback();
  }
  NoteHealth(committed);
  if (on_commit && committed.ok() && *committed) {
    on_commit({clock.Now() - begun, batch.size()});
  }
  for (const auto& operation : batch) {
    operation->Finish(committed.status());
  }
}

// A full disk shows in reads as little as it hinders them: only a write that works ends it.
void Store::Thread::NoteHealth(const Result<bool>& committed) {
  const Status broken = queue->broken();
  auto view = health.Lock();
  if (!broken.ok()) {
    *view = broken;
  } else if (!committed.ok()) {
    *view = committed.status();
  } else if (*committed) {
    *view = OkStatus();
  }
}

Store::Store(std::unique_ptr<Queue> queue, const Clock& clock, OnCommit on_commit)
    : thread_(std::make_unique<Thread>(std::move(queue), clock, std::move(on_commit))) {
  thread_->thread = std::thread([thread = thread_.get()] { thread->Loop(); });
}

Store::~Store() {
  Stop();
}

Status Store::health() const {
  auto view = thread_->health.Lock();
  return *view;
}

void Store::Stop() {
  {
    auto view = thread_->inbox.Lock();
    view->stopped = true;
  }
  thread_->inbox.Notify();
  if (thread_->thread.joinable()) {
    thread_->thread.join();
  }
}

void Store::Push(std::unique_ptr<Operation> operation) {
  {
    auto view = thread_->inbox.Lock();
    if (!view->stopped) {
      view->operations.push_back(std::move(operation));
    }
  }
  if (operation) {
    operation->Finish(Unavailable("the server is stopping; try again"));
  } else {
    thread_->inbox.Notify();
  }
}

}  // namespace tyllm::server::store
