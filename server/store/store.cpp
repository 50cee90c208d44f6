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
  using Operations = std::deque<std::unique_ptr<Operation>>;

  struct Inbox {
    Operations operations;
    Operations looks;
    bool stopped = false;
  };

  Thread(std::unique_ptr<Queue> given, const Clock& given_clock, OnCommit given_on_commit)
      : queue(std::move(given)), clock(given_clock), on_commit(std::move(given_on_commit)) {}

  void Put(Operations Inbox::* queued, std::unique_ptr<Operation> operation);
  void Loop();
  bool WaitForSomething();
  void AnswerLooks();
  void RunBatch(std::unique_ptr<Operation> first);
  void RunAlone(Operation& operation);
  /// The next operation, or nothing; with `joining` only one that may join a transaction.
  std::unique_ptr<Operation> Take(bool joining);
  void NoteHealth(const Result<bool>& committed);

  std::unique_ptr<Queue> queue;
  const Clock& clock;
  const OnCommit on_commit;
  Guarded<Inbox> inbox;
  Guarded<Status> health;
  std::thread thread;
};

void Store::Thread::Put(Operations Inbox::* queued, std::unique_ptr<Operation> operation) {
  {
    auto view = inbox.Lock();
    if (!view->stopped) {
      ((*view).*queued).push_back(std::move(operation));
    }
  }
  if (operation) {
    operation->Finish(Unavailable("the server is stopping; try again"));
  } else {
    inbox.Notify();
  }
}

// False when there is nothing left to do, ever.
bool Store::Thread::WaitForSomething() {
  auto view = inbox.Lock();
  view.Wait([](const Inbox& box) {
    return box.stopped || !box.operations.empty() || !box.looks.empty();
  });
  return !view->operations.empty() || !view->looks.empty();
}

std::unique_ptr<Store::Operation> Store::Thread::Take(bool joining) {
  auto view = inbox.Lock();
  if (view->operations.empty() || (joining && view->operations.front()->alone())) {
    return nullptr;
  }
  auto operation = std::move(view->operations.front());
  view->operations.pop_front();
  return operation;
}

void Store::Thread::Loop() {
  while (WaitForSomething()) {
    AnswerLooks();
    auto first = Take(false);
    if (first && first->alone()) {
      RunAlone(*first);
    } else if (first) {
      RunBatch(std::move(first));
    }
  }
}

// Nothing is written here: what they see is on the disk.
void Store::Thread::AnswerLooks() {
  Operations looks;
  {
    auto view = inbox.Lock();
    looks.swap(view->looks);
  }
  if (looks.empty()) {
    return;
  }
  const Status opened = queue->Begin();
  for (const auto& look : looks) {
    if (opened.ok()) {
      static_cast<void>(look->Perform(*queue));  // it keeps its own result
    }
  }
  queue->Rollback();
  NoteHealth(false);
  for (const auto& look : looks) {
    look->Finish(opened);
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
      next = Take(true);
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
  thread_->Put(&Thread::Inbox::operations, std::move(operation));
}

void Store::PushLook(std::unique_ptr<Operation> look) {
  thread_->Put(&Thread::Inbox::looks, std::move(look));
}

}  // namespace tyllm::server::store
