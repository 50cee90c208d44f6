// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <utility>

#include "server/rpc/call.h"
#include "server/rpc/handover.h"

namespace tyllm::server::rpc {

/// A stream of answers as a coroutine writes it. At most one message is on its way: whoever reads
/// slowly holds up only the coroutine. Owns itself: gRPC says when it is done.
template <typename Response>
class WriteStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit WriteStream(std::shared_ptr<Call> call)
      : call_(std::move(call)), written_(call_->executor()) {}

  const Call& call() const { return *call_; }

  /// False when the client has gone: end then. One at a time.
  boost::asio::awaitable<bool> Write(Response response) {
    response_ = std::move(response);
    this->StartWrite(&response_);
    return written_.Wait();
  }

  void OnWriteDone(bool ok) override { written_.Report(ok); }

  void OnCancel() override { call_->Cancel(); }

  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<Call> call_;
  Handover written_;
  Response response_;
};

/// A stream of requests as a coroutine reads it. Owns itself: gRPC says when it is done.
template <typename Request>
class ReadStream final : public grpc::ServerReadReactor<Request> {
 public:
  explicit ReadStream(std::shared_ptr<Call> call)
      : call_(std::move(call)), read_(call_->executor()) {}

  /// True: message() is the next one. False: there are no more, or the client has gone. Nothing:
  /// `limit` passed without a message; end then. One at a time.
  boost::asio::awaitable<std::optional<bool>> Read(Milliseconds limit) {
    this->StartRead(&message_);
    return read_.Wait(limit);
  }

  const Request& message() const { return message_; }

  void OnReadDone(bool ok) override { read_.Report(ok); }

  void OnCancel() override { call_->Cancel(); }

  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<Call> call_;
  Handover read_;
  Request message_;
};

/// Serves a stream with `awaitable<Status> body(Stream&)` on `executor`.
template <typename Stream, typename Body>
Stream* Serve(const Environment& environment, const grpc::CallbackServerContext& context,
              std::string_view method, boost::asio::any_io_executor executor, Body body) {
  auto call = std::make_shared<Call>(environment, context, method, std::move(executor));
  auto* const stream = new Stream(call);  // NOLINT: deletes itself in OnDone
  call->Run(body(*stream), [stream](const grpc::Status& status) { stream->Finish(status); });
  return stream;
}

}  // namespace tyllm::server::rpc
