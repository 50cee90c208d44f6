// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "common/wire/status.h"
#include "server/rpc/environment.h"

namespace tyllm::server::rpc {

/// What the client of a method is told: errors get what tells a program more, `details` or what
/// follows from method and code, and those that are the farm's own are logged.
grpc::Status AnswerOf(const Environment& environment, std::string_view method, const Status& status,
                      const std::optional<wire::ErrorDetails>& details = std::nullopt);

/// Of what a coroutine threw.
Status StatusOf(const std::exception_ptr& error);

/// One call on the server's side: runs a coroutine for it and turns its end into the answer, the
/// metrics and the log. Shared by the gRPC reactor and the coroutine, which end at different times.
class Call : public std::enable_shared_from_this<Call> {
 public:
  /// `method` is "JobService.GetJob", of static storage. `executor` runs one thing at a time.
  /// `context` says who calls, and is not kept.
  Call(const Environment& environment, const grpc::ServerContextBase& context,
       std::string_view method, boost::asio::any_io_executor executor);

  const boost::asio::any_io_executor& executor() const { return executor_; }

  /// Runs `body` on the executor, unless the caller lacks the role that the method needs; `finish`
  /// gets the answer there. Once.
  void Run(boost::asio::awaitable<Status> body, std::function<void(const grpc::Status&)> finish);

  /// What the answer tells a program if it is an error, in place of what follows from method and
  /// code. For the coroutine.
  void Explain(wire::ErrorDetails details) { details_ = std::move(details); }

  /// The client has gone: wakes the coroutine from the wait that it is in, once, without breaking
  /// it off; it sees `cancelled`. Threads: any.
  void Cancel();

  /// For the coroutine.
  bool cancelled() const { return cancelled_; }

 private:
  grpc::Status Close(const Status& status);

  const Environment environment_;
  const std::string_view method_;
  const boost::asio::any_io_executor executor_;
  const Clock::Steady start_;
  const Status refusal_;
  const OpenCalls::One open_;
  // Touched on the executor only.
  boost::asio::cancellation_signal cancel_;
  bool cancelled_ = false;
  bool ended_ = false;
  std::optional<wire::ErrorDetails> details_;
};

}  // namespace tyllm::server::rpc
