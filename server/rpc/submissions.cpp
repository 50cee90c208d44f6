// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/submissions.h"

#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "common/wire/jobs.h"
#include "common/wire/validations.h"
#include "server/core/job_inputs.h"
#include "server/core/submit_job.h"
#include "server/rpc/error_details.h"
#include "server/rpc/handover.h"

namespace tyllm::server::rpc {

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using Reactor = grpc::ServerBidiReactor<v1::SubmitJobsRequest, v1::SubmitJobsResponse>;

/// Of one client: as many as a transaction takes.
constexpr std::size_t kMostAtATime = 256;
constexpr std::string_view kMethodOfOne = "JobService.SubmitJob";

struct Submission {
  std::string request_id;
  Result<domain::SubmitRequest> request;
};

Result<domain::SubmitRequest> RequestOf(const v1::SubmitJobRequest& proto, const std::string& by) {
  if (proto.validate_only()) {
    return InvalidArgument("validate_only is true, and SubmitJobs only queues; ask SubmitJob");
  }
  TYLLM_ASSIGN(domain::SubmitRequest request, wire::FromProto(proto));
  request.by = by;
  return request;
}

void SetError(const grpc::Status& status, v1::SubmittedJob& answer) {
  answer.mutable_error()->ParseFromString(status.error_details());
}

awaitable<v1::SubmittedJob> SubmitOne(Environment environment, Submission submission) {
  v1::SubmittedJob answer;
  answer.set_request_id(std::move(submission.request_id));
  if (!submission.request.ok()) {
    SetError(AnswerOf(environment, kMethodOfOne, submission.request.status()), answer);
    co_return answer;
  }
  const auto made =
      co_await core::Submit(environment.farm, *std::move(submission.request), core::Show::kId);
  if (!made.ok()) {
    SetError(AnswerOf(environment, kMethodOfOne, made.status()), answer);
  } else if (!made->refused.empty()) {
    const wire::ErrorDetails details = DetailsFor(made->refused);
    SetError(AnswerOf(environment, kMethodOfOne, core::StatusOf(made->refused), details), answer);
  } else {
    answer.set_job_id(made->id->ToString());
  }
  co_return answer;
}

/// Everything but On... runs on the call's executor. Owns itself: gRPC says when it is done.
class SubmissionStream final : public Reactor {
 public:
  SubmissionStream(const Environment& environment, std::shared_ptr<Call> call, std::string by)
      : environment_(environment),
        call_(std::move(call)),
        by_(std::move(by)),
        ended_(call_->executor()) {}

  /// Until all is answered.
  awaitable<Status> Serve() {
    StartRead(&message_);
    co_await ended_.Wait();
    co_return gone_ ? Cancelled("the client has gone") : OkStatus();
  }

  void OnReadDone(bool ok) override {
    std::deque<Submission> read;
    if (ok) {
      for (const v1::SubmitJobRequest& job : message_.jobs()) {
        read.push_back({job.request_id(), RequestOf(job, by_)});
      }
    }
    asio::post(call_->executor(), [this, ok, came = std::move(read)]() mutable {
      reading_ = false;
      no_more_ = !ok;
      waiting_ = std::move(came);
      GoOn();
    });
  }

  void OnWriteDone(bool ok) override {
    asio::post(call_->executor(), [this, ok] {
      writing_ = false;
      gone_ = gone_ || !ok;
      GoOn();
    });
  }

  void OnCancel() override {
    asio::post(call_->executor(), [this] {
      gone_ = true;
      GoOn();
    });
  }

  // After what the others have posted.
  void OnDone() override {
    asio::post(call_->executor(), [self = std::unique_ptr<SubmissionStream>(this)] {});
  }

 private:
  void GoOn() {
    if (gone_) {
      // Nobody hears of it; what was not begun will be sent again.
      waiting_.clear();
      answers_.Clear();
    }
    while (!waiting_.empty() && Unanswered() < kMostAtATime) {
      Begin(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    if (waiting_.empty() && !reading_ && !no_more_) {
      reading_ = true;
      StartRead(&message_);
    }
    if (!writing_ && answers_.jobs_size() > 0) {
      writing_ = true;
      sent_.Clear();
      sent_.Swap(&answers_);
      StartWrite(&sent_);
    }
    if (no_more_ && waiting_.empty() && open_ == 0 && !writing_ && !has_ended_) {
      has_ended_ = true;
      ended_.Report(true);
    }
  }

  // Of a client that reads no answers no more are made.
  std::size_t Unanswered() const {
    return open_ +
           static_cast<std::size_t>(answers_.jobs_size() + (writing_ ? sent_.jobs_size() : 0));
  }

  void Begin(Submission submission) {
    ++open_;
    asio::co_spawn(call_->executor(), SubmitOne(environment_, std::move(submission)),
                   [this, id = submission.request_id](const std::exception_ptr& error,
                                                      v1::SubmittedJob answer) {
                     if (error) {
                       answer.set_request_id(id);
                       SetError(AnswerOf(environment_, kMethodOfOne, StatusOf(error)), answer);
                     }
                     *answers_.add_jobs() = std::move(answer);
                     --open_;
                     GoOnSoon();
                   });
  }

  // Those that are answered together go into one message.
  void GoOnSoon() {
    if (!std::exchange(goes_on_, true)) {
      asio::post(call_->executor(), [this] {
        goes_on_ = false;
        GoOn();
      });
    }
  }

  const Environment environment_;
  const std::shared_ptr<Call> call_;
  const std::string by_;  ///< who asks
  Handover ended_;
  v1::SubmitJobsRequest message_;   ///< gRPC's while reading
  v1::SubmitJobsResponse sent_;     ///< gRPC's while writing
  v1::SubmitJobsResponse answers_;  ///< to send
  std::deque<Submission> waiting_;  ///< read and not begun
  std::size_t open_ = 0;            ///< begun, and there is no answer
  bool reading_ = true;
  bool writing_ = false;
  bool no_more_ = false;
  bool gone_ = false;
  bool goes_on_ = false;
  bool has_ended_ = false;
};

}  // namespace

awaitable<Status> SubmitTo(Call& call, core::Farm& farm, Result<domain::SubmitRequest> request,
                           v1::SubmitJobResponse* response) {
  TYLLM_CO_TRY(request.status());
  TYLLM_CO_ASSIGN(const core::Submitted answer, co_await core::Submit(farm, *std::move(request)));
  if (!answer.refused.empty()) {
    call.Explain(DetailsFor(answer.refused));
    co_return core::StatusOf(answer.refused);
  }
  if (answer.job) {
    *response->mutable_job() = wire::ToProto(*answer.job);
    response->set_already_made(answer.already_made);
  }
  if (answer.validation) {
    *response->mutable_validation() = wire::ToProto(*answer.validation);
  }
  co_return OkStatus();
}

Reactor* ServeSubmissions(const Environment& environment,
                          const grpc::CallbackServerContext& context) {
  auto call = std::make_shared<Call>(environment, context, "JobService.SubmitJobs",
                                     environment.farm.parts.control);
  auto* const stream =  // NOLINTNEXTLINE: deletes itself in OnDone
      new SubmissionStream(environment, call, CallerOf(*context.auth_context()));
  call->Run(stream->Serve(), [stream](const grpc::Status& status) { stream->Finish(status); });
  return stream;
}

}  // namespace tyllm::server::rpc
