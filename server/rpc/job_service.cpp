// SPDX-License-Identifier: Apache-2.0
#include "common/wire/jobs.h"
#include "server/core/cancel_job.h"
#include "server/core/get_job.h"
#include "server/core/list_jobs.h"
#include "server/core/read_log.h"
#include "server/core/submit_job.h"
#include "server/core/watch_job.h"
#include "server/rpc/services.h"
#include "server/rpc/streams.h"
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

  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* /*context*/,
                                      const v1::SubmitJobRequest* request,
                                      v1::SubmitJobResponse* response) override {
    return Unary(environment_, "JobService.SubmitJob", control(), wire::FromProto(*request),
                 core::SubmitJob, response, SetJob);
  }

  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* /*context*/,
                                   const v1::GetJobRequest* request,
                                   v1::GetJobResponse* response) override {
    return Unary(environment_, "JobService.GetJob", control(), JobIdOf(*request), core::GetJob,
                 response, SetJob);
  }

  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* /*context*/,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override {
    return Unary(
        environment_, "JobService.ListJobs", control(), wire::FromProto(*request), core::ListJobs,
        response,
        [](const domain::JobPage& page, v1::ListJobsResponse& to) { to = wire::ToProto(page); });
  }

  grpc::ServerWriteReactor<v1::WatchJobResponse>* WatchJob(
      grpc::CallbackServerContext* /*context*/, const v1::WatchJobRequest* request) override {
    return Serve<WatchStream>(
        environment_, "JobService.WatchJob", control(), [&](WatchStream& stream) {
          return WatchJobTo(stream, environment_, JobIdOf(*request), request->after_event());
        });
  }

  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* /*context*/,
                                      const v1::CancelJobRequest* request,
                                      v1::CancelJobResponse* response) override {
    return Unary(environment_, "JobService.CancelJob", control(), JobIdOf(*request),
                 core::CancelJob, response, SetJob);
  }

  grpc::ServerWriteReactor<v1::ReadLogResponse>* ReadLog(
      grpc::CallbackServerContext* /*context*/, const v1::ReadLogRequest* request) override {
    return Serve<LogStream>(environment_, "JobService.ReadLog", control(), [&](LogStream& stream) {
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
