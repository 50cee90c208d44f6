// SPDX-License-Identifier: Apache-2.0
#include "server/store/store.h"

#include <thread>
#include <utility>

#include "common/base/guarded.h"
#include "server/store/log_syncer.h"

namespace tyllm::server::store {

namespace {

constexpr std::size_t kMostInABatch = 256;
constexpr std::chrono::microseconds kLongestBatch{2000};
/// Where another thread makes durable and has nothing to do: the disk takes this part while the
/// next is made, instead of waiting for all that has come.
constexpr std::chrono::microseconds kLongestBatchForIdleDisk{800};

}  // namespace

struct Store::Thread {
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
    auto opened = queue->OpenReader();
    if (opened.ok()) {
      reader = *std::move(opened);
    } else {
      lacking.push_back(opened.status().Annotate("opening a second connection, for reading"));
    }
    // Without one a commit is durable when it returns.
    auto log = queue->OpenLogSync();
    if (!log.ok()) {
      lacking.push_back(log.status().Annotate("having another thread sync the log"));
    } else if (*log) {
      syncer = std::make_unique<LogSyncer>(
          *std::move(log), LogSyncer::Hooks{[this](const Status& broken) { NoteFault(broken); },
                                            [this] { WakeWriter(); }});
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
  bool Leaves(Operation& operation);
  Status PerformApart(const Operations& batch);
  void RunAlone(std::unique_ptr<Operation> operation);
  /// The next operation, or nothing; with `joining` only one that may join a transaction.
  std::unique_ptr<Operation> Take(bool joining);
  std::unique_ptr<Operation> Join();

  bool MakesDurable() const { return syncer && syncer->busy(); }

  void WakeWriter();
  Result<bool> Commit(const Status& opened);

  std::int64_t Seen() const { return syncer ? syncer->begun() : 0; }

  void Answer(Operations operations, const Status& status, std::int64_t seen);
  Status Fault();
  void NoteFault(const Status& broken);
  void NoteHealth(const Result<bool>& committed);

  const std::unique_ptr<Queue> queue;
  std::unique_ptr<Queue> reader;  ///< of `queue`; goes first
  const Clock& clock;
  const OnCommit on_commit;
  Guarded<Inbox> inbox;    ///< of the writing thread
  Operations taken;        ///< by the writing thread, out of its inbox and not begun
  Guarded<Inbox> reading;  ///< of the reading one
  Guarded<Condition> condition;
  std::unique_ptr<LogSyncer> syncer;  ///< of `queue`
  std::vector<Status> lacking;
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
  if (syncer) {
    syncer->Stop();
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
    Operations refused;
    refused.push_back(std::move(operation));
    Finish(std::move(refused), Unavailable("the server is stopping; try again"));
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

std::unique_ptr<Operation> Store::Thread::Take(bool joining) {
  if (taken.empty()) {
    auto view = inbox.Lock();
    taken.swap(view->operations);
  }
  if (taken.empty() || (joining && taken.front()->mode() == Operation::Mode::kAlone)) {
    return nullptr;
  }
  auto operation = std::move(taken.front());
  taken.pop_front();
  return operation;
}

void Store::Thread::WriteLoop() {
  while (!taken.empty() || WaitForSomething(inbox)) {
    AnswerLooks(inbox, *queue);
    auto first = Take(false);
    if (first && first->mode() == Operation::Mode::kAlone) {
      RunAlone(std::move(first));
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

// Nothing is written here. What they see may have been committed just before: they are answered
// when it is on the disk.
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
  const bool began = opened.ok();
  if (began) {
    opened = looked_at.Begin();
  }
  const std::int64_t seen = Seen();  // of the state that Begin has chosen
  for (const auto& look : looks) {
    if (opened.ok()) {
      static_cast<void>(look->Perform(looked_at));  // it keeps its own result
    }
  }
  if (began) {
    looked_at.Rollback();
  }
  NoteFault(looked_at.broken());
  Operations glances;
  Operations others;
  for (auto& look : looks) {
    (look->mode() == Operation::Mode::kGlance ? glances : others).push_back(std::move(look));
  }
  Finish(std::move(glances), opened);
  Answer(std::move(others), opened, seen);
}

void Store::Thread::RunAlone(std::unique_ptr<Operation> operation) {
  const Status broken = Fault();
  if (broken.ok()) {
    static_cast<void>(operation->Perform(*queue));  // the operation hands its own result on
  }
  Operations done;
  done.push_back(std::move(operation));
  Answer(std::move(done), broken, Seen());
}

// False when it failed and what it has changed must be undone.
bool Store::Thread::Leaves(Operation& operation) {
  const std::int64_t before = queue->changes();
  return operation.Perform(*queue).ok() || queue->changes() == before;
}

// All anew, each behind a mark, so that those that fail leave nothing.
Status Store::Thread::PerformApart(const Operations& batch) {
  queue->Rollback();
  TYLLM_TRY(queue->Begin());
  for (const auto& operation : batch) {
    TYLLM_TRY(queue->SetMark());
    const bool keep = operation->Perform(*queue).ok();
    TYLLM_TRY(keep ? queue->KeepMark() : queue->RevertToMark());
  }
  return OkStatus();
}

// While the transaction before is made durable nothing would be answered earlier by ending this
// one: what comes until then joins it.
std::unique_ptr<Operation> Store::Thread::Join() {
  while (true) {
    if (auto next = Take(true); next || !taken.empty() || !MakesDurable()) {
      return next;
    }
    auto view = inbox.Lock();
    view.Wait([this](const Inbox& box) {
      return box.stopped || !box.operations.empty() || !MakesDurable();
    });
    if (view->operations.empty()) {
      return nullptr;
    }
  }
}

void Store::Thread::WakeWriter() {
  {
    const auto view = inbox.Lock();
  }  // it looks before it waits, or hears of this
  inbox.Notify();
}

// A mark costs as much as a small operation, and hardly one fails after its first change: they are
// set only when one has.
void Store::Thread::RunBatch(std::unique_ptr<Operation> first) {
  const Clock::Steady begun = clock.Now();
  Operations batch;
  Status opened = Fault();
  if (opened.ok()) {
    opened = queue->Begin();
  }
  const auto longest = syncer ? kLongestBatchForIdleDisk : kLongestBatch;
  bool whole = true;
  bool more = true;
  for (auto next = std::move(first); next; next = more ? Join() : nullptr) {
    batch.push_back(std::move(next));
    whole = !opened.ok() || Leaves(*batch.back());
    more = opened.ok() && whole && batch.size() < kMostInABatch &&
           (MakesDurable() || clock.Now() - begun < longest);
  }
  if (!whole) {
    opened = PerformApart(batch);
  }
  if (syncer) {
    syncer->BeginCommit();
  }
  const Result<bool> committed = Commit(opened);
  const bool wrote = committed.ok() && *committed;
  const std::size_t operations = batch.size();
  const auto observe = [this, begun, operations, ended = queue->TakeEnded()] {
    if (on_commit) {
      on_commit({clock.Now() - begun, operations, ended});
    }
  };
  if (syncer) {
    syncer->EndCommit({std::move(batch), committed.status(), wrote, observe});
    return;
  }
  if (wrote) {
    observe();
  }
  Finish(std::move(batch), committed.status());
}

Result<bool> Store::Thread::Commit(const Status& opened) {
  // A sync may have failed since the transaction began.
  const Status fault = Fault();
  const Result<bool> committed =
      opened.ok() && fault.ok() ? queue->Commit() : (opened.ok() ? fault : opened);
  if (!committed.ok()) {
    queue->Rollback();
  }
  NoteHealth(committed);
  return committed;
}

void Store::Thread::Answer(Operations operations, const Status& status, std::int64_t seen) {
  if (syncer) {
    syncer->Answer(std::move(operations), status, seen);
  } else {
    Finish(std::move(operations), status);
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

const std::vector<Status>& Store::lacking() const {
  return thread_->lacking;
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
