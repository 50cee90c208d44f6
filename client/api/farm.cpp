// SPDX-License-Identifier: Apache-2.0
#include "client/api/farm.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "common/base/pause.h"
#include "common/wire/admin.h"
#include "common/wire/deadline.h"
#include "common/wire/enums.h"
#include "common/wire/explanations.h"
#include "common/wire/job_changes.h"
#include "common/wire/jobs.h"
#include "common/wire/projects.h"
#include "common/wire/status.h"
#include "common/wire/validations.h"
#include "common/wire/workers.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::client {

namespace {

// StubInterface declares one method of each name; a Stub has two.
using Jobs = v1::JobService::StubInterface;
using Admin = v1::AdminService::StubInterface;

constexpr std::chrono::seconds kUnaryLimit{30};
/// Of one call that waits for a job.
constexpr Milliseconds kLongestWait{20'000};
constexpr Milliseconds kFirstPause{200};
constexpr Milliseconds kLastPause{3000};

// A context with a deadline that a stop request cancels.
class Call {
 public:
  explicit Call(const std::stop_token& stop, bool bounded = true)
      : cancel_(stop, [this] { context_.TryCancel(); }) {
    if (bounded) {
      context_.set_deadline(wire::DeadlineIn(kUnaryLimit));
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

template <typename Method, typename Stub, typename Request, typename Response>
Status Farm::Ask(Stub& stub, Method method, const Request& request, Response& response,
                 const std::stop_token& stop) {
  return Persist(
      [&] {
        Call call(stop);
        return wire::FromGrpc((stub.*method)(call.get(), request, &response));
      },
      stop);
}

Result<domain::JobView> Farm::Submit(const domain::SubmitRequest& request,
                                     const std::stop_token& stop) {
  v1::SubmitJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::SubmitJob, wire::ToProto(request), response, stop));
  return wire::FromProto(response.job());
}

Result<domain::Validation> Farm::Validate(const domain::JobSpec& spec,
                                          const std::stop_token& stop) {
  const domain::SubmitRequest request{.request_id = {}, .spec = spec, .validate_only = true};
  v1::SubmitJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::SubmitJob, wire::ToProto(request), response, stop));
  return wire::FromProto(response.validation());
}

Result<domain::JobView> Farm::Get(domain::JobId job, const std::stop_token& stop) {
  v1::GetJobRequest request;
  request.set_job_id(job.ToString());
  v1::GetJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::GetJob, request, response, stop));
  return wire::FromProto(response.job());
}

Result<domain::JobPage> Farm::List(const domain::JobQuery& query, const std::stop_token& stop) {
  v1::ListJobsResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::ListJobs, wire::ToProto(query), response, stop));
  return wire::FromProto(response);
}

Result<domain::JobView> Farm::Cancel(const domain::JobChange& change, const std::stop_token& stop) {
  v1::CancelJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::CancelJob, wire::ToCancelProto(change), response, stop));
  return wire::FromProto(response.job());
}

Result<domain::JobView> Farm::Retry(const domain::RetryRequest& request,
                                    const std::stop_token& stop) {
  v1::RetryJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::RetryJob, wire::ToProto(request), response, stop));
  return wire::FromProto(response.job());
}

Result<domain::JobView> Farm::Update(const domain::UpdateRequest& request,
                                     const std::stop_token& stop) {
  v1::UpdateJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::UpdateJob, wire::ToProto(request), response, stop));
  return wire::FromProto(response.job());
}

Status Farm::Delete(const domain::JobChange& change, const std::stop_token& stop) {
  v1::DeleteJobResponse response;
  return Ask(*stubs_->jobs, &Jobs::DeleteJob, wire::ToDeleteProto(change), response, stop);
}

Result<domain::JobView> Farm::Wait(const domain::WaitRequest& request,
                                   const std::stop_token& stop) {
  const Clock::Steady until = clock_.Now() + Milliseconds(request.timeout_ms);
  while (true) {
    const auto left = std::chrono::duration_cast<Milliseconds>(until - clock_.Now());
    domain::WaitRequest piece = request;
    piece.timeout_ms = std::clamp<std::int64_t>(left.count(), 0, kLongestWait.count());
    v1::WaitJobResponse response;
    TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::WaitJob, wire::ToProto(piece), response, stop));
    if (response.ended() || piece.timeout_ms == left.count() || left.count() <= 0) {
      return wire::FromProto(response.job());
    }
  }
}

Result<domain::JobExplanation> Farm::Explain(domain::JobId job, const std::stop_token& stop) {
  v1::ExplainJobRequest request;
  request.set_job_id(job.ToString());
  v1::ExplainJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::ExplainJob, request, response, stop));
  return wire::FromProto(response);
}

Result<domain::TaskDetail> Farm::Task(domain::TaskId task, const std::stop_token& stop) {
  v1::GetTaskRequest request;
  request.set_task_id(task.ToString());
  v1::GetTaskResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::GetTask, request, response, stop));
  return wire::FromProto(response);
}

Result<domain::ServerCapabilities> Farm::Capabilities(const std::string& project,
                                                      const std::stop_token& stop) {
  v1::GetCapabilitiesRequest request;
  request.set_project(project);
  v1::GetCapabilitiesResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::GetCapabilities, request, response, stop));
  return wire::FromProto(response);
}

Result<domain::ServerInfo> Farm::Info(const std::stop_token& stop) {
  v1::GetServerInfoResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::GetServerInfo, v1::GetServerInfoRequest(), response, stop));
  return wire::FromProto(response);
}

Result<std::vector<domain::WorkerView>> Farm::Workers(const std::stop_token& stop) {
  v1::ListWorkersResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::ListWorkers, v1::ListWorkersRequest(), response, stop));
  return wire::FromProto(response);
}

Result<domain::WorkerView> Farm::SetWorkerMode(const std::string& worker,
                                               const domain::ModeOrder& order,
                                               const std::string& request_id,
                                               const std::stop_token& stop) {
  v1::SetWorkerModeRequest request;
  request.set_request_id(request_id);
  request.set_worker(worker);
  request.set_mode(wire::EnumToProto<v1::WorkerMode>(order.mode));
  request.set_reason(order.reason);
  v1::SetWorkerModeResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::SetWorkerMode, request, response, stop));
  return wire::FromProto(response.worker());
}

Result<std::vector<domain::ProjectUse>> Farm::Projects(const std::stop_token& stop) {
  v1::ListProjectsResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::ListProjects, v1::ListProjectsRequest(), response, stop));
  return wire::FromProto(response);
}

Result<domain::Project> Farm::SetProject(const domain::Project& project,
                                         const std::stop_token& stop) {
  v1::SetProjectRequest request;
  *request.mutable_project() = wire::ToProto(project);
  v1::SetProjectResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::SetProject, request, response, stop));
  return wire::FromProto(response.project());
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
