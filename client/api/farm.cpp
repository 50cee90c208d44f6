// SPDX-License-Identifier: Apache-2.0
#include "client/api/farm.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "common/base/pause.h"
#include "common/wire/admin.h"
#include "common/wire/jobs.h"
#include "common/wire/status.h"
#include "common/wire/workers.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::client {

namespace {

constexpr std::chrono::seconds kUnaryLimit{30};
constexpr Milliseconds kFirstPause{200};
constexpr Milliseconds kLastPause{3000};

// A context with a deadline that a stop request cancels.
class Call {
 public:
  explicit Call(const std::stop_token& stop, bool bounded = true)
      : cancel_(stop, [this] { context_.TryCancel(); }) {
    if (bounded) {
      context_.set_deadline(std::chrono::system_clock::now() + kUnaryLimit);
    }
  }

  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
  std::stop_callback<std::function<void()>> cancel_;
};

}  // namespace

struct Farm::Stubs {
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::AdminService::Stub> admin;
};

Farm::Farm(std::shared_ptr<grpc::Channel> channel, std::string address, const Clock& clock,
           Milliseconds patience)
    : stubs_(std::make_unique<Stubs>(v1::JobService::NewStub(channel),
                                     v1::AdminService::NewStub(channel))),
      address_(std::move(address)),
      clock_(clock),
      patience_(patience),
      blobs_(channel, clock, patience) {}

Farm::~Farm() = default;

template <typename Attempt>
Status Farm::Persist(const Attempt& attempt, const std::stop_token& stop) {
  Clock::Steady silent_since = clock_.Now();
  Milliseconds pause = kFirstPause;
  while (true) {
    const Clock::Steady began = clock_.Now();
    const Status status = attempt();
    if (clock_.Now() - began > kUnaryLimit) {
      silent_since = clock_.Now();  // a stream that lived until now
    }
    if (stop.stop_requested() && !status.ok()) {
      return Cancelled("interrupted");
    }
    if (status.code() != StatusCode::kUnavailable) {
      return status;
    }
    if (clock_.Now() - silent_since + pause > patience_ || !PauseFor(pause, stop)) {
      return Unavailable("the server at " + address_ + " does not answer (" + status.message() +
                         "); check --server or TYLLM_SERVER, and that it runs");
    }
    pause = std::min(2 * pause, kLastPause);
  }
}

Result<domain::JobView> Farm::Submit(const domain::SubmitRequest& request,
                                     const std::stop_token& stop) {
  v1::SubmitJobResponse response;
  TYLLM_TRY(Persist(
      [&] {
        Call call(stop);
        return wire::FromGrpc(
            stubs_->jobs->SubmitJob(call.get(), wire::ToProto(request), &response));
      },
      stop));
  return wire::FromProto(response.job());
}

Result<domain::JobView> Farm::Get(domain::JobId job, const std::stop_token& stop) {
  v1::GetJobRequest request;
  request.set_job_id(job.ToString());
  v1::GetJobResponse response;
  TYLLM_TRY(Persist(
      [&] {
        Call call(stop);
        return wire::FromGrpc(stubs_->jobs->GetJob(call.get(), request, &response));
      },
      stop));
  return wire::FromProto(response.job());
}

Result<domain::JobPage> Farm::List(const domain::JobQuery& query, const std::stop_token& stop) {
  v1::ListJobsResponse response;
  TYLLM_TRY(Persist(
      [&] {
        Call call(stop);
        return wire::FromGrpc(stubs_->jobs->ListJobs(call.get(), wire::ToProto(query), &response));
      },
      stop));
  return wire::FromProto(response);
}

Result<domain::JobView> Farm::Cancel(domain::JobId job, const std::stop_token& stop) {
  v1::CancelJobRequest request;
  request.set_job_id(job.ToString());
  v1::CancelJobResponse response;
  TYLLM_TRY(Persist(
      [&] {
        Call call(stop);
        return wire::FromGrpc(stubs_->jobs->CancelJob(call.get(), request, &response));
      },
      stop));
  return wire::FromProto(response.job());
}

Result<std::vector<domain::WorkerView>> Farm::Workers(const std::stop_token& stop) {
  v1::ListWorkersResponse response;
  TYLLM_TRY(Persist(
      [&] {
        Call call(stop);
        return wire::FromGrpc(stubs_->admin->ListWorkers(call.get(), {}, &response));
      },
      stop));
  std::vector<domain::WorkerView> workers;
  for (const v1::Worker& worker : response.workers()) {
    TYLLM_ASSIGN(workers.emplace_back(), wire::FromProto(worker));
  }
  return workers;
}

Result<std::optional<domain::JobState>> Farm::WatchOnce(
    domain::JobId job, std::int64_t& after,
    const std::function<void(const domain::JobEvent&)>& on_event, const std::stop_token& stop) {
  Call call(stop, false);
  v1::WatchJobRequest request;
  request.set_job_id(job.ToString());
  request.set_after_event(after);
  const auto stream = stubs_->jobs->WatchJob(call.get(), request);
  std::optional<domain::JobState> state;
  v1::WatchJobResponse response;
  while (stream->Read(&response)) {
    TYLLM_ASSIGN(const domain::JobEvent event, wire::FromProto(response));
    after = std::max(after, event.number);
    state = event.job_state;
    on_event(event);
  }
  TYLLM_TRY(wire::FromGrpc(stream->Finish()));
  return state && IsFinal(*state) ? state : std::nullopt;
}

Result<domain::JobState> Farm::Watch(domain::JobId job, std::int64_t after,
                                     const std::function<void(const domain::JobEvent&)>& on_event,
                                     const std::stop_token& stop) {
  while (true) {
    std::optional<domain::JobState> end;
    TYLLM_TRY(Persist(
        [&]() -> Status {
          TYLLM_ASSIGN(end, WatchOnce(job, after, on_event, stop));
          return OkStatus();
        },
        stop));
    if (end) {
      return *end;
    }
    // The stream ended without a final event: everything was told before, or the server went down
    // in good order.
    TYLLM_ASSIGN(const domain::JobView view, Get(job, stop));
    if (IsFinal(view.state)) {
      return view.state;
    }
    if (!PauseFor(kFirstPause, stop)) {
      return Cancelled("interrupted");
    }
  }
}

Status Farm::ReadLog(domain::AttemptId attempt, std::int64_t offset, bool follow,
                     const std::function<void(std::string_view)>& sink,
                     const std::stop_token& stop) {
  return Persist(
      [&] {
        Call call(stop, false);
        v1::ReadLogRequest request;
        request.set_task_id(attempt.task.ToString());
        request.set_attempt(attempt.attempt);
        request.set_offset(offset);
        request.set_follow(follow);
        const auto stream = stubs_->jobs->ReadLog(call.get(), request);
        v1::ReadLogResponse response;
        while (stream->Read(&response)) {
          sink(response.data());
          offset = response.offset() + static_cast<std::int64_t>(response.data().size());
        }
        return wire::FromGrpc(stream->Finish());
      },
      stop);
}

}  // namespace tyllm::client
