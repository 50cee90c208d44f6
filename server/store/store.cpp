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
    Operations looks;  ///< where there is no reader
    bool stopped = false;
  };

  struct Condition {
    Status health;  ///< for people
    Status fault;   ///< what broke writer or reader for good
  };

  Thread(std::unique_ptr<Queue> given, const Clock& given_clock, OnCommit given_on_commit)
      : queue(std::move(given)), clock(given_clock), on_commit(std::move(given_on_commit)) {
    // Without one the writing thread looks, too.
    if (auto opened = queue->OpenReader(); opened.ok()) {
      reader = *std::move(opened);
    }
  }

  void Start();
  void Stop();
  static void Put(Guarded<Inbox>& inbox, Operations Inbox::* queued,
                  std::unique_ptr<Operation> operation);
  void WriteLoop();
  void ReadLoop();
  static bool WaitForSomething(Guarded<Inbox>& inbox);
  void AnswerLooks(Guarded<Inbox>& inbox, Queue& looked_at);
  void RunBatch(std::unique_ptr<Operation> first);
  void RunAlone(Operation& operation);
  /// The next operation, or nothing; with `joining` only one that may join a transaction.
  std::unique_ptr<Operation> Take(bool joining);
  Status Fault();
  void NoteFault(const Status& broken);
  void NoteHealth(const Result<bool>& committed);

  const std::unique_ptr<Queue> queue;
  std::unique_ptr<Queue> reader;  ///< of `queue`; goes first
  const Clock& clock;
  const OnCommit on_commit;
  Guarded<Inbox> inbox;    ///< of the writing thread
  Guarded<Inbox> reading;  ///< of the reading one
  Guarded<Condition> condition;
  std::thread writer_thread;
  std::thread reader_thread;
};

void Store::Thread::Start() {
  writer_thread = std::thread([this] { WriteLoop(); });
  if (reader) {
    reader_thread = std::thread([this] { ReadLoop(); });
  }
}

void Store::Thread::Stop() {
  for (Guarded<Inbox>* const one : {&inbox, &reading}) {
    {
      auto view = one->Lock();
      view->stopped = true;
    }
    one->Notify();
  }
  for (std::thread* const one : {&writer_thread, &reader_thread}) {
    if (one->joinable()) {
      one->join();
    }
  }
}

void Store::Thread::Put(Guarded<Inbox>& inbox, Operations Inbox::* queued,
                        std::unique_ptr<Operation> operation) {
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
bool Store::Thread::WaitForSomething(Guarded<Inbox>& inbox) {
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

void Store::Thread::WriteLoop() {
  while (WaitForSomething(inbox)) {
    AnswerLooks(inbox, *queue);
    auto first = Take(false);
    if (first && first->alone()) {
      RunAlone(*first);
    } else if (first) {
      RunBatch(std::move(first));
    }
  }
}

void Store::Thread::ReadLoop() {
  while (WaitForSomething(reading)) {
    AnswerLooks(reading, *reader);
  }
}

// Nothing is written here. What they see was committed before they were taken, so it is on the
// disk: SQLite shows a transaction to other connections only after its log was synced.
void Store::Thread::AnswerLooks(Guarded<Inbox>& from, Queue& looked_at) {
  Operations looks;
  {
    auto view = from.Lock();
    looks.swap(view->looks);
  }
  if (looks.empty()) {
    return;
  }
  Status opened = Fault();
  if (opened.ok()) {
    opened = looked_at.Begin();
  }
  for (const auto& look : looks) {
    if (opened.ok()) {
      static_cast<void>(look->Perform(looked_at));  // it keeps its own result
    }
  }
  looked_at.Rollback();
  NoteFault(looked_at.broken());
  for (const auto& look : looks) {
    look->Finish(opened);
  }
}

void Store::Thread::RunAlone(Operation& operation) {
  const Status broken = Fault();
  if (broken.ok()) {
    static_cast<void>(operation.Perform(*queue));  // the operation hands its own result on
  }
  operation.Finish(broken);
}

void Store::Thread::RunBatch(std::unique_ptr<Operation> first) {
  const Clock::Steady begun = clock.Now();
  std::vector<std::unique_ptr<Operation>> batch;
  Status opened = Fault();
  if (opened.ok()) {
    opened = queue->Begin();
  }
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

Status Store::Thread::Fault() {
  auto view = condition.Lock();
  return view->fault;
}

void Store::Thread::NoteFault(const Status& broken) {
  if (!broken.ok()) {
    auto view = condition.Lock();
    view->fault = view->health = broken;
  }
}

// A full disk shows in reads as little as it hinders them: only a write that works ends it.
void Store::Thread::NoteHealth(const Result<bool>& committed) {
  NoteFault(queue->broken());
  auto view = condition.Lock();
  if (!view->fault.ok()) {
    view->health = view->fault;
  } else if (!committed.ok()) {
    view->health = committed.status();
  } else if (*committed) {
    view->health = OkStatus();
  }
}

Store::Store(std::unique_ptr<Queue> queue, const Clock& clock, OnCommit on_commit)
    : thread_(std::make_unique<Thread>(std::move(queue), clock, std::move(on_commit))) {
  thread_->Start();
}

Store::~Store() {
  Stop();
}

Status Store::health() const {
  auto view = thread_->condition.Lock();
  return view->health;
}

void Store::Stop() {
  thread_->Stop();
}

void Store::Push(std::unique_ptr<Operation> operation) {
  Thread::Put(thread_->inbox, &Thread::Inbox::operations, std::move(operation));
}

void Store::PushLook(std::unique_ptr<Operation> look) {
  Thread::Put(thread_->reader ? thread_->reading : thread_->inbox, &Thread::Inbox::looks,
              std::move(look));
}

}  // namespace tyllm::server::store
