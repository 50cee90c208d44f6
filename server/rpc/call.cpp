// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/call.h"

#include <exception>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "common/wire/status.h"
#include "server/rpc/error_details.h"

namespace tyllm::server::rpc {

namespace {

namespace asio = boost::asio;

// Use cases are not broken off half-way: a cancellation only ends the wait they are in.
asio::awaitable<Status> Unbroken(asio::awaitable<Status> body) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_return co_await std::move(body);
}

Status RefusalOf(const Environment& environment, const grpc::ServerContextBase& context,
                 std::string_view method) {
  if (environment.roles == nullptr) {
    return OkStatus();
  }
  const auto names = NamesOf(*context.auth_context());
  return names ? CheckCaller(*environment.roles, *names, method) : OkStatus();
}

asio::awaitable<Status> Refuse(Status refusal) {
  co_return refusal;
}

// Errors that are the farm's own; the others are answers.
bool IsOurFault(StatusCode code) {
  return code == StatusCode::kInternal || code == StatusCode::kUnknown ||
         code == StatusCode::kDataLoss || code == StatusCode::kUnavailable ||
         code == StatusCode::kResourceExhausted;
}

}  // namespace

Status StatusOf(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return Internal(std::string("unexpected: ") + exception.what());
  } catch (...) {
    return Internal("unexpected, and not even an exception");
  }
}

grpc::Status AnswerOf(const Environment& environment, std::string_view method, const Status& status,
                      const std::optional<wire::ErrorDetails>& details) {
  if (!status.ok()) {
    const telemetry::LogField method_field("method", method);
    const telemetry::LogField code("code", Name(status.code()));
    if (IsOurFault(status.code())) {
      environment.log.Warning(status.message(), {method_field, code});
    } else {
      environment.log.Debug(status.message(), {method_field, code});
    }
  }
  return wire::ToGrpc(status, details ? *details : DetailsFor(method, status));
}

Call::Call(const Environment& environment, const grpc::ServerContextBase& context,
           std::string_view method, asio::any_io_executor executor)
    : environment_(environment),
      method_(method),
      executor_(std::move(executor)),
      start_(environment.farm.parts.clock.Now()),
      refusal_(RefusalOf(environment, context, method)),
      open_(environment.open_calls, method) {
  if (!refusal_.ok()) {
    Explain(DetailsOfRefusal(method));
  }
}

void Call::Run(asio::awaitable<Status> body, std::function<void(const grpc::Status&)> finish) {
  auto end = [self = shared_from_this(), finish = std::move(finish)](
                 const std::exception_ptr& error, const Status& status) {
    self->ended_ = true;
    finish(self->Close(error ? StatusOf(error) : status));
  };
  asio::co_spawn(executor_, Unbroken(refusal_.ok() ? std::move(body) : Refuse(refusal_)),
                 asio::bind_cancellation_slot(cancel_.slot(), std::move(end)));
}

void Call::Cancel() {
  asio::post(executor_, [self = shared_from_this()] {
    self->cancelled_ = true;
    if (!self->ended_) {
      self->cancel_.emit(asio::cancellation_type::terminal);
    }
  });
}

grpc::Status Call::Close(const Status& status) {
  const Milliseconds::rep millis =
      std::chrono::duration_cast<Milliseconds>(environment_.farm.parts.clock.Now() - start_)
          .count();
  environment_.metrics.Count(telemetry::Metric::kRpcs, {method_, Name(status.code())});
  environment_.metrics.Observe(telemetry::Metric::kRpcSeconds, {method_},
                               static_cast<double>(millis) / 1000);
  return AnswerOf(environment_, method_, status, details_);
}

}  // namespace tyllm::server::rpc
