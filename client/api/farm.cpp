// SPDX-License-Identifier: Apache-2.0
#include "client/api/farm.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/pause.h"
#include "common/wire/admin.h"
#include "common/wire/deadline.h"
#include "common/wire/enums.h"
#include "common/wire/explanations.h"
#include "common/wire/job_changes.h"
#include "common/wire/jobs.h"
#include "common/wire/projects.h"
#include "common/wire/results.h"
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

/// What came of a call.
struct Farm::Attempt {
  Status status;
  std::optional<Milliseconds> pause = {};  ///< that the server asks for before the next one
  bool heard = false;                      ///< the server was there, until the end just now

  static Attempt Of(const grpc::Status& answer, bool heard = false) {
    Attempt attempt{.status = wire::FromGrpc(answer), .heard = heard};
    if (const auto delay = wire::RetryDelayMillis(answer)) {
      attempt.pause = Milliseconds(*delay);
    }
    return attempt;
  }

  bool is_silence() const {
    return status.code() == StatusCode::kUnavailable ||
           status.code() == StatusCode::kDeadlineExceeded;
  }

  // The same call may go better. Not so ABORTED, which wants a new decision, nor what is full for
  // good: a quota, a message.
  bool is_worth_another() const {
    return is_silence() || (status.code() == StatusCode::kResourceExhausted && pause);
  }
};

struct Farm::Stubs {
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::AdminService::Stub> admin;
};

Farm::Farm(std::shared_ptr<grpc::Channel> channel, std::string address, const Clock& clock,
           Milliseconds patience, std::string advice)
    : stubs_(std::make_unique<Stubs>(v1::JobService::NewStub(channel),
                                     v1::AdminService::NewStub(channel))),
      address_(std::move(address)),
      clock_(clock),
      patience_(patience),
      advice_(std::move(advice)),
      blobs_(channel, clock, patience) {}

Farm::~Farm() = default;

template <typename Try>
Status Farm::Persist(const Try& attempt, const std::stop_token& stop) {
  Clock::Steady since = clock_.Now();
  Milliseconds pause = kFirstPause;
  while (true) {
    const Attempt made = attempt();
    if (made.heard) {
      since = clock_.Now();
      pause = kFirstPause;
    }
    if (stop.stop_requested() && !made.status.ok()) {
      return Cancelled("interrupted");
    }
    if (!made.is_worth_another()) {
      return made.status;
    }
    const Milliseconds before_next = std::max(pause, made.pause.value_or(pause));
    if (clock_.Now() - since + before_next > patience_ || !PauseFor(before_next, stop)) {
      return made.is_silence() ? Unavailable("the server at " + address_ + " does not answer (" +
                                             made.status.message() + "); " + advice_)
                               : made.status;
    }
    pause = std::min(2 * pause, kLastPause);
  }
}

bool Farm::Lived(Clock::Steady began) const {
  return clock_.Now() - began > kUnaryLimit;
}

template <typename Method, typename Stub, typename Request, typename Response>
Status Farm::Ask(Stub& stub, Method method, const Request& request, Response& response,
                 const std::stop_token& stop) {
  return Persist(
      [&] {
        Call call(stop);
        return Attempt::Of((stub.*method)(call.get(), request, &response));
      },
      stop);
}

Result<Farm::Submitted> Farm::Submit(const domain::SubmitRequest& request,
                                     const std::stop_token& stop) {
  v1::SubmitJobResponse response;
  TYLLM_TRY(Ask(*stubs_->jobs, &Jobs::SubmitJob, wire::ToProto(request), response, stop));
  TYLLM_ASSIGN(domain::JobView job, wire::FromProto(response.job()));
  return Submitted{std::move(job), response.already_made()};
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

Result<std::vector<domain::WorkerView>> Farm::Workers(domain::WorkerQuery query,
                                                      const std::stop_token& stop) {
  std::vector<domain::WorkerView> workers;
  do {
    v1::ListWorkersResponse response;
    TYLLM_TRY(Ask(*stubs_->admin, &Admin::ListWorkers, wire::ToProto(query), response, stop));
    TYLLM_ASSIGN(domain::WorkerPage page, wire::FromProto(response));
    std::ranges::move(page.workers, std::back_inserter(workers));
    query.page_token = std::move(page.next_page_token);
  } while (!query.page_token.empty());
  return workers;
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

Status Farm::ForgetWorker(const std::string& worker, const std::string& request_id,
                          const std::stop_token& stop) {
  v1::ForgetWorkerRequest request;
  request.set_request_id(request_id);
  request.set_worker(worker);
  v1::ForgetWorkerResponse response;
  return Ask(*stubs_->admin, &Admin::ForgetWorker, request, response, stop);
}

Result<domain::ForgottenResults> Farm::ForgetResults(const domain::ForgetRequest& request,
                                                     const std::stop_token& stop) {
  v1::ForgetResultsResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::ForgetResults, wire::ToProto(request), response, stop));
  return wire::FromProto(response);
}

Result<std::vector<domain::ProjectUse>> Farm::Projects(const std::stop_token& stop) {
  std::vector<domain::ProjectUse> projects;
  domain::ProjectQuery query;
  do {
    v1::ListProjectsResponse response;
    TYLLM_TRY(Ask(*stubs_->admin, &Admin::ListProjects, wire::ToProto(query), response, stop));
    domain::ProjectPage page = wire::FromProto(response);
    std::ranges::move(page.projects, std::back_inserter(projects));
    query.page_token = std::move(page.next_page_token);
  } while (!query.page_token.empty());
  return projects;
}

Result<domain::Project> Farm::SetProject(const domain::ProjectChange& change,
                                         const std::stop_token& stop) {
  v1::SetProjectRequest request;
  request.set_request_id(change.request_id);
  *request.mutable_project() = wire::ToProto(change.project);
  request.set_etag(change.etag);
  v1::SetProjectResponse response;
  TYLLM_TRY(Ask(*stubs_->admin, &Admin::SetProject, request, response, stop));
  return wire::FromProto(response.project());
}

Farm::Attempt Farm::WatchOnce(domain::JobId job, std::int64_t& after,
                              std::optional<domain::JobState>& state,
                              const std::function<void(const domain::JobEvent&)>& on_event,
                              const std::stop_token& stop) {
  const Clock::Steady began = clock_.Now();
  bool heard = false;
  Call call(stop, false);
  v1::WatchJobRequest request;
  request.set_job_id(job.ToString());
  request.set_after_event(after);
  const auto stream = stubs_->jobs->WatchJob(call.get(), request);
  v1::WatchJobResponse response;
  while (stream->Read(&response)) {
    const Result<domain::JobEvent> event = wire::FromProto(response);
    if (!event.ok()) {
      return {.status = event.status()};
    }
    heard = true;
    after = std::max(after, event->number);
    state = event->job_state;
    on_event(*event);
  }
  return Attempt::Of(stream->Finish(), heard || Lived(began));
}

Result<domain::JobState> Farm::Watch(domain::JobId job, std::int64_t after,
                                     const std::function<void(const domain::JobEvent&)>& on_event,
                                     const std::stop_token& stop) {
  while (true) {
    std::optional<domain::JobState> state;
    TYLLM_TRY(Persist([&] { return WatchOnce(job, after, state, on_event, stop); }, stop));
    if (state && IsFinal(*state)) {
      return *state;
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
        const Clock::Steady began = clock_.Now();
        bool heard = false;
        Call call(stop, false);
        v1::ReadLogRequest request;
        request.set_task_id(attempt.task.ToString());
        request.set_attempt(attempt.attempt);
        request.set_offset(offset);
        request.set_follow(follow);
        const auto stream = stubs_->jobs->ReadLog(call.get(), request);
        v1::ReadLogResponse response;
        while (stream->Read(&response)) {
          heard = true;
          sink(response.data());
          offset = response.offset() + static_cast<std::int64_t>(response.data().size());
        }
        return Attempt::Of(stream->Finish(), heard || Lived(began));
      },
      stop);
}

}  // namespace tyllm::client
