// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <utility>

#include "common/wire/limits.h"
#include "server/rpc/call.h"
#include "server/rpc/error_details.h"

namespace tyllm::server::rpc {

/// Owns itself: gRPC says when it is done.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryReactor(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  void OnCancel() override { call_->Cancel(); }

  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<Call> call_;
};

/// The input of a use case that has none.
struct Nothing {};

template <typename In, typename UseCase, typename Response, typename Answer>
boost::asio::awaitable<Status> Perform(core::Farm& farm, Result<In> request, UseCase use_case,
                                       Response* response, Answer answer) {
  if (!request.ok()) {
    co_return request.status();
  }
  auto result = co_await use_case(farm, *std::move(request));
  if (!result.ok()) {
    co_return result.status();
  }
  answer(*std::move(result), *response);
  if (const std::size_t size = response->ByteSizeLong(); size > wire::kMaxMessageBytes) {
    response->Clear();
    co_return AnswerTooLarge(size);
  }
  co_return OkStatus();
}

/// Runs what `begin(call)` returns, an `awaitable<Status>`, as the answer to a call.
template <typename Begin>
grpc::ServerUnaryReactor* ServeUnary(const Environment& environment,
                                     const grpc::CallbackServerContext& context,
                                     std::string_view method, boost::asio::any_io_executor executor,
                                     Begin begin) {
  auto call = std::make_shared<Call>(environment, context, method, std::move(executor));
  auto* const reactor = new UnaryReactor(call);  // NOLINT: deletes itself in OnDone
  call->Run(begin(*call), [reactor](const grpc::Status& status) { reactor->Finish(status); });
  return reactor;
}

/// Answers a call with a use case, `awaitable<Result<Out>> use_case(Farm&, In)`, on `executor`:
/// `request` is what the wire library made of the message, `answer(Out, Response&)` fills the
/// response. The calling gRPC thread only converts and hands over.
template <typename In, typename UseCase, typename Response, typename Answer>
grpc::ServerUnaryReactor* Unary(const Environment& environment,
                                const grpc::CallbackServerContext& context, std::string_view method,
                                boost::asio::any_io_executor executor, Result<In> request,
                                UseCase use_case, Response* response, Answer answer) {
  return ServeUnary(environment, context, method, std::move(executor), [&](Call& /*call*/) {
    return Perform(environment.farm, std::move(request), std::move(use_case), response,
                   std::move(answer));
  });
}

}  // namespace tyllm::server::rpc
