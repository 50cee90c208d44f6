// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "server/store/operation.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

/// The queue behind the one thread that writes it. Operations from anywhere are collected into one
/// transaction (group commit: up to 256 operations or a millisecond or two of work), and each
/// learns its result only after the commit: what was answered is on the disk. Where the queue can,
/// another thread makes a transaction durable while the next is made (docs/adr/0115-the-log-is-
/// synced-beside-the-writer.md). An operation that returns an error
/// leaves nothing behind and does not disturb the others. Those that only look are performed by a
/// third thread with a reader of its own, and wait only until what they saw is durable
/// (docs/adr/0110-a-reader-beside-the-writer.md).
///
/// When the disk is full, operations fail with kResourceExhausted until it is not. When a commit or
/// the file fails in another way the store is broken for good (kUnavailable, health() says why):
/// what the file holds is not known then, and a restart reads it anew.
class Store {
 public:
  /// A transaction that changed something.
  struct CommitStats {
    std::chrono::duration<double> time;
    std::size_t operations = 0;
    std::vector<EndedJob> ended;  ///< jobs whose end became durable with it
  };

  using OnCommit = std::function<void(const CommitStats&)>;

  /// `queue` is touched by the writing thread only. `on_commit` is called on a thread of the store
  /// when a transaction is durable; it may be empty.
  Store(std::unique_ptr<Queue> queue, const Clock& clock, OnCommit on_commit = {});
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  /// Runs `work(queue)`, which returns a Status or a Result, on the store's thread and comes back
  /// to the caller's executor with what it returned. `work` may refer to the calling coroutine's
  /// variables: it waits. It may be run more than once, and what the last run did counts: whatever
  /// it sets there it sets anew each time.
  template <typename Work, typename Answer = std::invoke_result_t<Work&, Queue&>>
  boost::asio::awaitable<Answer> Run(Work work) {
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                                   void(Answer)>(
        [this](auto handler, Work initiated) {
          Push(std::make_unique<Waiting<Work, Answer, decltype(handler)>>(std::move(initiated),
                                                                          std::move(handler)));
        },
        boost::asio::use_awaitable, std::move(work));
  }

  /// As Run, for work that changes nothing (what it changes is undone, or fails): sees everything
  /// that was answered before it was asked for, and is answered without waiting for a transaction.
  template <typename Work, typename Answer = std::invoke_result_t<Work&, Queue&>>
  boost::asio::awaitable<Answer> Look(Work work) {
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                                   void(Answer)>(
        [this](auto handler, Work initiated) {
          PushLook(std::make_unique<Waiting<Work, Answer, decltype(handler)>>(std::move(initiated),
                                                                              std::move(handler)));
        },
        boost::asio::use_awaitable, std::move(work));
  }

  /// As Look, but may show what a power cut can still take back, and does not wait until it cannot:
  /// for who tells nobody before a later Run was answered, by when all that it saw is durable.
  template <typename Work, typename Answer = std::invoke_result_t<Work&, Queue&>>
  boost::asio::awaitable<Answer> Glance(Work work) {
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                                   void(Answer)>(
        [this](auto handler, Work initiated) {
          PushLook(std::make_unique<Waiting<Work, Answer, decltype(handler)>>(
              std::move(initiated), std::move(handler), Operation::Mode::kGlance));
        },
        boost::asio::use_awaitable, std::move(work));
  }

  /// As Run, but outside of any transaction and with nothing else in between: for what cannot be
  /// done within one. Changes nothing.
  template <typename Work, typename Answer = std::invoke_result_t<Work&, Queue&>>
  boost::asio::awaitable<Answer> RunAlone(Work work) {
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                                   void(Answer)>(
        [this](auto handler, Work initiated) {
          Push(std::make_unique<Waiting<Work, Answer, decltype(handler)>>(
              std::move(initiated), std::move(handler), Operation::Mode::kAlone));
        },
        boost::asio::use_awaitable, std::move(work));
  }

  /// OK while operations are accepted. Threads: any.
  Status health() const;

  /// What could not be opened at the start: it works without, slower.
  const std::vector<Status>& lacking() const;

  /// Refuses new operations (kUnavailable), finishes those that came, ends the thread. Idempotent.
  void Stop();

 private:
  static Status StatusOf(const Status& status) { return status; }

  template <typename T>
  static Status StatusOf(const Result<T>& result) {
    return result.status();
  }

  template <typename Work, typename Outcome, typename Handler>
  class Waiting final : public Operation {
   public:
    Waiting(Work work, Handler handler, Mode mode = Mode::kShared)
        : work_(std::move(work)),
          mode_(mode),
          executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                        boost::asio::execution::outstanding_work.tracked)),
          handler_(std::move(handler)) {}

    Mode mode() const override { return mode_; }

    Status Perform(Queue& queue) override {
      answer_.emplace(work_(queue));
      return StatusOf(*answer_);
    }

    void Settle(const Status& status) override {
      if (!answer_ || !status.ok()) {
        answer_.emplace(status.ok() ? Internal("the operation could not begin") : status);
      }
    }

    const boost::asio::any_io_executor& executor() const override { return executor_; }

    void Answer() override {
      Handler handler = std::move(handler_);  // may be what keeps the store
      std::move(handler)(*std::move(answer_));
    }

   private:
    Work work_;
    Mode mode_;
    boost::asio::any_io_executor executor_;
    Handler handler_;
    std::optional<Outcome> answer_;
  };

  struct Thread;
  void Push(std::unique_ptr<Operation> operation);
  void PushLook(std::unique_ptr<Operation> look);

  std::unique_ptr<Thread> thread_;
};

}  // namespace tyllm::server::store
