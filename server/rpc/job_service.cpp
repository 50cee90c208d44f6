// SPDX-License-Identifier: Apache-2.0
#include "common/wire/explanations.h"
#include "common/wire/job_changes.h"
#include "common/wire/jobs.h"
#include "common/wire/limits.h"
#include "common/wire/validations.h"
#include "server/core/cancel_job.h"
#include "server/core/capabilities.h"
#include "server/core/delete_job.h"
#include "server/core/explain_job.h"
#include "server/core/get_job.h"
#include "server/core/job_inputs.h"
#include "server/core/list_jobs.h"
#include "server/core/read_log.h"
#include "server/core/retry_job.h"
#include "server/core/update_job.h"
#include "server/core/wait_job.h"
#include "server/core/watch_job.h"
#include "server/rpc/asked_by.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
#include "server/rpc/submissions.h"
#include "server/rpc/unary.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::server::rpc {

namespace {

using boost::asio::awaitable;
using WatchStream = WriteStream<v1::WatchJobResponse>;
using LogStream = WriteStream<v1::ReadLogResponse>;

awaitable<Status> WatchJobTo(WatchStream& stream, Environment environment,
                             Result<domain::JobId> job, std::int64_t after_event) {
  TYLLM_CO_TRY(job.status());
  core::JobWatch watch(environment.farm, *job, after_event);
  bool final = false;
  while (!final && !stream.call().cancelled()) {
    TYLLM_CO_ASSIGN(const core::JobEvents news,
                    co_await watch.Next(environment.stream_look_interval));
    for (const domain::JobEvent& event : news.events) {
      if (!co_await stream.Write(wire::ToProto(event))) {
        co_return Cancelled("the client has gone");
      }
    }
    final = news.final;
  }
  co_return final ? OkStatus() : Cancelled("the client has gone");
}

awaitable<Status> ReadLogTo(LogStream& stream, Environment environment,
                            Result<core::LogPosition> start, bool follow) {
  TYLLM_CO_TRY(start.status());
  core::LogPosition position = *start;
  const Milliseconds wait = follow ? environment.stream_look_interval : Milliseconds(0);
  while (!stream.call().cancelled()) {
    TYLLM_CO_ASSIGN(domain::LogChunk chunk,
                    co_await core::ReadLog(environment.farm, position, wait));
    position.attempt = chunk.attempt;
    position.offset += static_cast<std::int64_t>(chunk.data.size());
    const bool last = chunk.ended || (!follow && chunk.data.empty());
    if (!chunk.data.empty() || chunk.ended) {
      if (!co_await stream.Write(wire::ToProto(std::move(chunk)))) {
        break;
      }
    }
    if (last) {
      co_return OkStatus();
    }
  }
  co_return Cancelled("the client has gone");
}

// As many of the page's jobs as fit into a message, the first in any case: what people write into
// one is no more than a small part of that.
awaitable<Result<v1::ListJobsResponse>> ListJobsThatFit(core::Farm& farm, domain::JobQuery query) {
  constexpr std::size_t kTokenBytes = 1024;  // more than a token has, and what stands around jobs
  TYLLM_CO_ASSIGN(const domain::JobPage page, co_await core::ListJobs(farm, query));
  v1::ListJobsResponse response;
  response.set_next_page_token(page.next_page_token);
  std::size_t bytes = kTokenBytes;
  for (std::size_t i = 0; i < page.jobs.size(); ++i) {
    v1::Job job = wire::ToProto(page.jobs[i]);
    bytes += job.ByteSizeLong() + 8;  // its tag and its length
    if (i > 0 && bytes > wire::kMaxMessageBytes) {
      response.set_next_page_token(core::PageTokenAfter(query, page.jobs[i - 1]));
      break;
    }
    *response.add_jobs() = std::move(job);
  }
  co_return response;
}

void AddWhatTheWireTakes(domain::ServerCapabilities& capabilities) {
  capabilities.api_versions = {"tyllm.v1"};
  capabilities.max_message_bytes = wire::kMaxMessageBytes;
  capabilities.max_piece_bytes = wire::kMaxPieceBytes;
  capabilities.max_batch_bytes = wire::kMaxBatchBytes;
  capabilities.max_batched_blob_bytes = wire::kMaxBatchedBlobBytes;
  capabilities.max_batch_blobs = static_cast<std::int32_t>(wire::kMaxBatchBlobs);
}

Result<core::LogPosition> PositionOf(const v1::ReadLogRequest& request) {
  TYLLM_ASSIGN(const auto task, wire::IdFromProto<domain::TaskId>(request.task_id(), "task_id"));
  if (request.attempt() < 0 || request.offset() < 0) {
    return InvalidArgument("attempt and offset of a log are " + std::to_string(request.attempt()) +
                           " and " + std::to_string(request.offset()) +
                           ", expected numbers from 0 on");
  }
  return core::LogPosition{task, request.attempt(), request.offset()};
}

class JobService final : public v1::JobService::CallbackService {
 public:
  explicit JobService(const Environment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* context,
                                      const v1::SubmitJobRequest* request,
                                      v1::SubmitJobResponse* response) override {
    return ServeUnary(environment_, *context, "JobService.SubmitJob", control(), [&](Call& call) {
      return SubmitTo(call, environment_.farm, AskedBy(*context, wire::FromProto(*request)),
                      response);
    });
  }

  grpc::ServerBidiReactor<v1::SubmitJobsRequest, v1::SubmitJobsResponse>* SubmitJobs(
      grpc::CallbackServerContext* context) override {
    return ServeSubmissions(environment_, *context);
  }

  grpc::ServerUnaryReactor* GetCapabilities(grpc::CallbackServerContext* context,
                                            const v1::GetCapabilitiesRequest* request,
                                            v1::GetCapabilitiesResponse* response) override {
    return Unary(environment_, *context, "JobService.GetCapabilities", control(),
                 Result(request->project()), core::GetCapabilities, response,
                 [caller = CallerOf(*context->auth_context())](
                     domain::ServerCapabilities capabilities, v1::GetCapabilitiesResponse& to) {
                   AddWhatTheWireTakes(capabilities);
                   capabilities.caller = caller;
                   to = wire::ToProto(capabilities);
                 });
  }

  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const v1::GetJobRequest* request,
                                   v1::GetJobResponse* response) override {
    return Unary(environment_, *context, "JobService.GetJob", control(), JobIdOf(*request),
                 core::GetJob, response, SetJob);
  }

  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override {
    return Unary(environment_, *context, "JobService.ListJobs", control(),
                 wire::FromProto(*request), ListJobsThatFit, response,
                 [](v1::ListJobsResponse page, v1::ListJobsResponse& to) { to = std::move(page); });
  }

  grpc::ServerWriteReactor<v1::WatchJobResponse>* WatchJob(
      grpc::CallbackServerContext* context, const v1::WatchJobRequest* request) override {
    return Serve<WatchStream>(
        environment_, *context, "JobService.WatchJob", control(), [&](WatchStream& stream) {
          return WatchJobTo(stream, environment_, JobIdOf(*request), request->after_event());
        });
  }

  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const v1::CancelJobRequest* request,
                                      v1::CancelJobResponse* response) override {
    return Unary(environment_, *context, "JobService.CancelJob", control(),
                 AskedBy(*context, wire::FromProto(*request)), core::CancelJob, response, SetJob);
  }

  grpc::ServerUnaryReactor* WaitJob(grpc::CallbackServerContext* context,
                                    const v1::WaitJobRequest* request,
                                    v1::WaitJobResponse* response) override {
    return Unary(environment_, *context, "JobService.WaitJob", control(), wire::FromProto(*request),
                 core::WaitJob, response, [](const domain::JobView& job, v1::WaitJobResponse& to) {
                   *to.mutable_job() = wire::ToProto(job);
                   to.set_ended(IsFinal(job.state));
                 });
  }

  grpc::ServerUnaryReactor* RetryJob(grpc::CallbackServerContext* context,
                                     const v1::RetryJobRequest* request,
                                     v1::RetryJobResponse* response) override {
    return Unary(environment_, *context, "JobService.RetryJob", control(),
                 AskedBy(*context, wire::FromProto(*request)), core::RetryJob, response, SetJob);
  }

  grpc::ServerUnaryReactor* UpdateJob(grpc::CallbackServerContext* context,
                                      const v1::UpdateJobRequest* request,
                                      v1::UpdateJobResponse* response) override {
    return Unary(environment_, *context, "JobService.UpdateJob", control(),
                 AskedBy(*context, wire::FromProto(*request)), core::UpdateJob, response, SetJob);
  }

  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext* context,
                                      const v1::DeleteJobRequest* request,
                                      v1::DeleteJobResponse* response) override {
    return Unary(environment_, *context, "JobService.DeleteJob", control(),
                 AskedBy(*context, wire::FromProto(*request)), core::DeleteJob, response,
                 [](core::Deleted, v1::DeleteJobResponse&) {});
  }

  grpc::ServerUnaryReactor* ExplainJob(grpc::CallbackServerContext* context,
                                       const v1::ExplainJobRequest* request,
                                       v1::ExplainJobResponse* response) override {
    return Unary(environment_, *context, "JobService.ExplainJob", control(), JobIdOf(*request),
                 core::ExplainJob, response,
                 [](const domain::JobExplanation& explanation, v1::ExplainJobResponse& to) {
                   to = wire::ToProto(explanation);
                 });
  }

  grpc::ServerUnaryReactor* GetTask(grpc::CallbackServerContext* context,
                                    const v1::GetTaskRequest* request,
                                    v1::GetTaskResponse* response) override {
    return Unary(environment_, *context, "JobService.GetTask", control(),
                 wire::IdFromProto<domain::TaskId>(request->task_id(), "task_id"), core::GetTask,
                 response, [](const domain::TaskDetail& detail, v1::GetTaskResponse& to) {
                   to = wire::ToProto(detail);
                 });
  }

  grpc::ServerWriteReactor<v1::ReadLogResponse>* ReadLog(
      grpc::CallbackServerContext* context, const v1::ReadLogRequest* request) override {
    return Serve<LogStream>(
        environment_, *context, "JobService.ReadLog", control(), [&](LogStream& stream) {
          return ReadLogTo(stream, environment_, PositionOf(*request), request->follow());
        });
  }

 private:
  boost::asio::any_io_executor control() const { return environment_.farm.parts.control; }

  template <typename Request>
  static Result<domain::JobId> JobIdOf(const Request& request) {
    return wire::IdFromProto<domain::JobId>(request.job_id(), "job_id");
  }

  static constexpr auto SetJob = [](const domain::JobView& job, auto& response) {
    *response.mutable_job() = wire::ToProto(job);
  };

  const Environment environment_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeJobService(const Environment& environment) {
  return std::make_unique<JobService>(environment);
}

}  // namespace tyllm::server::rpc
