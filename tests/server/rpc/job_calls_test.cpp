// SPDX-License-Identifier: Apache-2.0
// JobService, WorkerService, AdminService, health and reflection over a real connection: a test
// plays the client and the worker.
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <future>

#include "common/telemetry/metric_table.h"
#include "common/wire/jobs.h"
#include "common/wire/status.h"
#include "common/wire/workers.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/blob_client.h"
#include "tests/support/http_get.h"
#include "tests/support/metric_value.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::BlobOf;
using testing::CallContext;
using testing::MetricValue;
using testing::TestServer;

class JobCalls : public ::testing::Test {
 protected:
  grpc::Status Submit(const std::string& request_id, const BlobId& model, v1::Job& job) {
    CallContext context;
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name("demo");
    *request.mutable_spec()->mutable_model() = wire::ToProto(model);
    v1::SubmitJobResponse response;
    grpc::Status status = jobs_->SubmitJob(&context, request, &response);
    job = response.job();
    return status;
  }

  v1::Job SubmitGood(const std::string& request_id) {
    v1::Job job;
    const grpc::Status status = Submit(request_id, blobs_.PutTree("config.json", "{}"), job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  grpc::Status Get(const std::string& id, v1::Job& job) {
    CallContext context;
    v1::GetJobRequest request;
    request.set_job_id(id);
    v1::GetJobResponse response;
    grpc::Status status = jobs_->GetJob(&context, request, &response);
    job = response.job();
    return status;
  }

  grpc::Status Sync(v1::SyncRequest request, v1::SyncResponse& response) {
    CallContext context;
    request.set_worker("gpu1");
    if (request.session().empty()) {
      request.set_session("session-1");
    }
    request.mutable_capabilities()->set_device("cpu");
    request.mutable_capabilities()->set_slots(1);
    return workers_->Sync(&context, request, &response);
  }

  /// As a worker without work; the assignment that it gets.
  v1::Assignment Lease() {
    v1::SyncRequest request;
    request.set_wait_ms(10'000);
    v1::SyncResponse response;
    const grpc::Status status = Sync(request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.start_size(), 1);
    return response.start_size() == 1 ? response.start(0) : v1::Assignment();
  }

  grpc::Status AppendLog(const v1::Assignment& work, std::int64_t offset, const std::string& data) {
    CallContext context;
    v1::AppendLogRequest request;
    request.set_task_id(work.task_id());
    request.set_attempt(work.attempt());
    request.set_worker("gpu1");
    request.set_session("session-1");
    request.set_offset(offset);
    request.set_data(data);
    v1::AppendLogResponse response;
    grpc::Status status = workers_->AppendLog(&context, request, &response);
    if (status.ok()) {
      EXPECT_EQ(response.size(), offset + static_cast<std::int64_t>(data.size()));
    }
    return status;
  }

  grpc::Status Succeed(const v1::Assignment& work, std::int64_t log_bytes) {
    v1::SyncRequest request;
    v1::Held& held = *request.add_held();
    held.set_task_id(work.task_id());
    held.set_attempt(work.attempt());
    held.set_log_bytes(log_bytes);
    for (const char* const stage : {"convert", "a stage of a worker of the future"}) {
      held.add_stages()->set_stage(stage);
      held.mutable_stages()->rbegin()->set_milliseconds(2500);
    }
    *held.mutable_succeeded()->mutable_output() =
        wire::ToProto(blobs_.PutTree("model.safetensors", "weights"));
    v1::SyncResponse response;
    grpc::Status status = Sync(request, response);
    EXPECT_EQ(response.acknowledged_size(), 1) << response.DebugString();
    return status;
  }

  std::string ReadLog(const std::string& task, bool follow, std::int64_t offset = 0) {
    CallContext context;
    v1::ReadLogRequest request;
    request.set_task_id(task);
    request.set_follow(follow);
    request.set_offset(offset);
    const auto stream = jobs_->ReadLog(&context, request);
    std::string log;
    v1::ReadLogResponse piece;
    while (stream->Read(&piece)) {
      EXPECT_EQ(piece.offset(), offset + static_cast<std::int64_t>(log.size()));
      log += piece.data();
    }
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return log;
  }

  std::vector<v1::WatchJobResponse> Watch(const std::string& job, std::int64_t after) {
    CallContext context;
    v1::WatchJobRequest request;
    request.set_job_id(job);
    request.set_after_event(after);
    const auto stream = jobs_->WatchJob(&context, request);
    std::vector<v1::WatchJobResponse> events;
    v1::WatchJobResponse event;
    while (stream->Read(&event)) {
      if (event.event() > 0) {
        events.push_back(event);
      }
    }
    EXPECT_TRUE(stream->Finish().ok());
    return events;
  }

  TestServer server_;
  BlobClient blobs_{server_.channel()};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(server_.channel());
  std::unique_ptr<v1::WorkerService::Stub> workers_ = v1::WorkerService::NewStub(server_.channel());
};

TEST_F(JobCalls, ASubmittedJobIsFoundAndListedAndARepeatedRequestGivesItAgain) {
  const v1::Job first = SubmitGood("request-1");
  EXPECT_EQ(first.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(SubmitGood("request-1").id(), first.id());
  const v1::Job second = SubmitGood("request-2");
  EXPECT_NE(second.id(), first.id());
  v1::Job found;
  ASSERT_TRUE(Get(second.id(), found).ok());
  EXPECT_EQ(found.spec().name(), "demo");
  CallContext context;
  v1::ListJobsRequest request;
  request.set_page_size(1);
  v1::ListJobsResponse page;
  ASSERT_TRUE(jobs_->ListJobs(&context, request, &page).ok());
  ASSERT_EQ(page.jobs_size(), 1);
  EXPECT_EQ(page.jobs(0).id(), second.id()) << "newest first";
  CallContext next;
  request.set_page_token(page.next_page_token());
  ASSERT_TRUE(jobs_->ListJobs(&next, request, &page).ok());
  EXPECT_EQ(page.jobs(0).id(), first.id());
}

TEST_F(JobCalls, ErrorsAreRichAndNameTheField) {
  v1::Job job;
  grpc::Status status = Submit("request", BlobOf("nobody uploaded this"), job);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(wire::ReasonOf(status), "MISSING_BLOBS");
  status = Get("j99", job);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(wire::ReasonOf(status), "NOT_FOUND");
  status = Get("nonsense", job);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("job_id"), std::string::npos);
  CallContext context;
  v1::SubmitJobRequest request;
  request.set_request_id("r");
  request.mutable_spec()->set_kind(static_cast<v1::JobKind>(77));
  v1::SubmitJobResponse response;
  status = jobs_->SubmitJob(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("spec: kind has the number 77"), std::string::npos);
}

TEST_F(JobCalls, AJobGoesThroughAWorkerWithItsLogAndEvents) {
  const v1::Job job = SubmitGood("request");
  const v1::Assignment work = Lease();
  EXPECT_EQ(work.spec().kind(), v1::TASK_KIND_CONVERT);
  ASSERT_EQ(work.inputs_size(), 1);
  EXPECT_EQ(work.inputs(0).name(), "model");
  auto followed = std::async(std::launch::async, [&] { return ReadLog(work.task_id(), true); });
  auto watched = std::async(std::launch::async, [&] { return Watch(job.id(), 0); });
  ASSERT_TRUE(AppendLog(work, 0, "first line\n").ok());
  ASSERT_TRUE(AppendLog(work, 11, "second \xFF line\n").ok());
  EXPECT_EQ(ReadLog(work.task_id(), false), "first line\nsecond \xFF line\n");
  EXPECT_EQ(ReadLog(work.task_id(), false, 6), "line\nsecond \xFF line\n");
  ASSERT_TRUE(Succeed(work, 25).ok());
  EXPECT_EQ(followed.get(), "first line\nsecond \xFF line\n") << "following ends with the attempt";
  const auto events = watched.get();
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(events.back().job_state(), v1::JOB_STATE_SUCCEEDED);
  const auto later = Watch(job.id(), events[0].event());
  EXPECT_EQ(later.size(), events.size() - 1) << "from any event on, also after the end";
  v1::Job ended;
  ASSERT_TRUE(Get(job.id(), ended).ok());
  EXPECT_EQ(ended.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(ended.outputs_size(), 1);
}

TEST_F(JobCalls, AStaleAttemptIsFenced) {
  SubmitGood("request");
  v1::Assignment work = Lease();
  EXPECT_EQ(wire::ReasonOf(AppendLog(work, 5, "gap")), "LOG_GAP");
  work.set_attempt(work.attempt() + 1);
  const grpc::Status status = AppendLog(work, 0, "stale");
  EXPECT_EQ(status.error_code(), grpc::ABORTED);
  EXPECT_EQ(wire::ReasonOf(status), "STALE_ATTEMPT");
}

TEST_F(JobCalls, ACancelledJobEndsItsWatch) {
  const v1::Job job = SubmitGood("request");
  auto watched = std::async(std::launch::async, [&] { return Watch(job.id(), 0); });
  CallContext context;
  v1::CancelJobRequest request;
  request.set_job_id(job.id());
  v1::CancelJobResponse response;
  ASSERT_TRUE(jobs_->CancelJob(&context, request, &response).ok());
  EXPECT_EQ(response.job().state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(watched.get().back().job_state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(JobCalls, StoppingTheServerEndsHeldCallsAndStreams) {
  const v1::Job job = SubmitGood("request");
  v1::Assignment work = Lease();
  CallContext context;
  v1::WatchJobRequest request;
  request.set_job_id(job.id());
  const auto stream = jobs_->WatchJob(&context, request);
  v1::WatchJobResponse event;
  ASSERT_TRUE(stream->Read(&event));
  auto held = std::async(std::launch::async, [&] {
    CallContext sync_context;
    v1::SyncRequest sync;
    sync.set_worker("idle");
    sync.set_session("s");
    sync.mutable_capabilities()->set_slots(1);
    sync.set_wait_ms(20'000);
    v1::SyncResponse response;
    return workers_->Sync(&sync_context, sync, &response);
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(server_.server().Stop().ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
  while (stream->Read(&event)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
  held.wait();
}

TEST_F(JobCalls, AClientThatGoesAwayLeavesNothingBehind) {
  const v1::Job job = SubmitGood("request");
  CallContext context;
  v1::WatchJobRequest request;
  request.set_job_id(job.id());
  const auto stream = jobs_->WatchJob(&context, request);
  v1::WatchJobResponse event;
  ASSERT_TRUE(stream->Read(&event));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  EXPECT_TRUE(server_.server().Stop().ok());
}

TEST_F(JobCalls, WorkersAreListedAndCordoned) {
  v1::SyncResponse none;
  ASSERT_TRUE(Sync({}, none).ok());
  const auto admin = v1::AdminService::NewStub(server_.channel());
  CallContext cordon_context;
  v1::SetWorkerModeRequest cordon;
  cordon.set_worker("gpu1");
  cordon.set_mode(v1::WORKER_MODE_CORDONED);
  cordon.set_reason("new disk");
  v1::SetWorkerModeResponse cordoned;
  ASSERT_TRUE(admin->SetWorkerMode(&cordon_context, cordon, &cordoned).ok());
  EXPECT_EQ(cordoned.worker().mode(), v1::WORKER_MODE_CORDONED);
  CallContext list_context;
  v1::ListWorkersResponse workers;
  ASSERT_TRUE(admin->ListWorkers(&list_context, {}, &workers).ok());
  ASSERT_EQ(workers.workers_size(), 1);
  EXPECT_TRUE(workers.workers(0).online());
  EXPECT_EQ(workers.workers(0).mode(), v1::WORKER_MODE_CORDONED);
  EXPECT_EQ(workers.workers(0).mode_reason(), "new disk");
  CallContext unknown_context;
  cordon.set_worker("nobody");
  EXPECT_EQ(admin->SetWorkerMode(&unknown_context, cordon, &cordoned).error_code(),
            grpc::NOT_FOUND);
  CallContext info_context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(admin->GetServerInfo(&info_context, {}, &info).ok());
  EXPECT_FALSE(info.version().empty());
  EXPECT_GT(info.max_message_bytes(), 0);
}

TEST_F(JobCalls, HealthAndReflectionAreThere) {
  const auto health = grpc::health::v1::Health::NewStub(server_.channel());
  CallContext context;
  grpc::health::v1::HealthCheckResponse response;
  ASSERT_TRUE(health->Check(&context, {}, &response).ok());
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  for (const char* const service :
       {v1::JobService::service_full_name(), v1::WorkerService::service_full_name(),
        v1::BlobService::service_full_name(), v1::AdminService::service_full_name()}) {
    CallContext of_service;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    const grpc::Status status = health->Check(&of_service, request, &response);
    EXPECT_TRUE(status.ok()) << service << ": " << status.error_message();
    EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING) << service;
  }

  // ServerReflectionRequest{list_services: "*"}, by hand: Debian ships no reflection.proto.
  grpc::GenericStub stub(server_.channel());
  CallContext reflection_context;
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call =
      stub.PrepareCall(&reflection_context,
                       "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  const grpc::Slice slice(std::string("\x3A\x01*"));
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& part : slices) {
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  for (const char* const service : {"tyllm.v1.JobService", "tyllm.v1.WorkerService",
                                    "tyllm.v1.BlobService", "tyllm.v1.AdminService"}) {
    EXPECT_NE(bytes.find(service), std::string::npos) << service;
  }
  reflection_context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok));
}

TEST_F(JobCalls, EveryDeclaredMetricIsExportedAndTheWorkMovesThem) {
  SubmitGood("request");
  const v1::Assignment work = Lease();
  ASSERT_TRUE(AppendLog(work, 0, "12345").ok());
  v1::Assignment stale = work;
  stale.set_attempt(work.attempt() + 1);
  EXPECT_EQ(AppendLog(stale, 5, "6").error_code(), grpc::ABORTED);
  const std::string during = testing::HttpGet(server_.server().http_address(), "/metrics").body;
  EXPECT_EQ(MetricValue(during, "tyllm_leases"), "1");
  EXPECT_EQ(MetricValue(during, "tyllm_tasks{state=\"running\"}"), "1");
  EXPECT_EQ(MetricValue(during, "tyllm_jobs{state=\"running\"}"), "1");
  ASSERT_TRUE(Succeed(work, 5).ok());
  std::string content;
  ASSERT_TRUE(blobs_.Download(BlobOf("weights"), 0, 0, content).ok());
  const std::string after = testing::HttpGet(server_.server().http_address(), "/metrics").body;
  for (const telemetry::MetricRow& row : telemetry::kMetrics) {
    EXPECT_NE(after.find("# TYPE " + std::string(row.name) + " "), std::string::npos)
        << row.name << " is declared and never exported";
  }
  EXPECT_EQ(MetricValue(after, "tyllm_jobs_submitted_total"), "1");
  EXPECT_EQ(MetricValue(after,
                        "tyllm_jobs_ended_total{blame=\"none\",kind=\"convert\",state="
                        "\"succeeded\"}"),
            "1");
  EXPECT_EQ(MetricValue(after, "tyllm_cache_misses_total{kind=\"convert\"}"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_cache_hits_total{kind=\"convert\"}"), "0");
  EXPECT_EQ(MetricValue(after, "tyllm_queue_oldest_age_seconds{class=\"batch\"}"), "0");
  EXPECT_EQ(MetricValue(after, "tyllm_invariant_violations"), "0");
  EXPECT_GE(std::stod(MetricValue(after, "tyllm_store_database_bytes")), 4096);
  EXPECT_EQ(MetricValue(after, "tyllm_attempts_started_total"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_queue_wait_seconds_count{kind=\"convert\"}"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_stage_seconds_sum{kind=\"convert\",stage=\"convert\"}"),
            "2.5");
  EXPECT_EQ(MetricValue(after, "tyllm_stage_seconds_count{kind=\"convert\",stage=\"other\"}"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_fenced_calls_total{method=\"WorkerService.AppendLog\"}"),
            "1");
  EXPECT_EQ(MetricValue(after, "tyllm_fenced_calls_total{method=\"WorkerService.Sync\"}"), "0");
  EXPECT_EQ(MetricValue(after, "tyllm_backup_age_seconds"), "+Inf") << "there is none";
  EXPECT_EQ(MetricValue(after, "tyllm_certificate_remaining_seconds"), "+Inf") << "there is no TLS";
  EXPECT_EQ(MetricValue(after, "tyllm_attempts_ended_total{outcome=\"succeeded\"}"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_jobs{state=\"succeeded\"}"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_leases"), "0");
  EXPECT_EQ(MetricValue(after, "tyllm_log_bytes_total"), "5");
  EXPECT_EQ(MetricValue(after, "tyllm_blob_bytes_total{direction=\"out\"}"), "7");
  EXPECT_EQ(MetricValue(after, "tyllm_workers{state=\"online\"}"), "1");
  EXPECT_EQ(MetricValue(after, "tyllm_store_healthy"), "1");
  EXPECT_LT(std::stod(MetricValue(after, "tyllm_worker_heartbeat_age_seconds")), 60);
  EXPECT_GT(std::stod(MetricValue(after, "tyllm_store_wal_bytes")), 4096);
  EXPECT_EQ(MetricValue(after, "tyllm_rpcs_total{code=\"OK\",method=\"JobService.SubmitJob\"}"),
            "1");
  EXPECT_EQ(MetricValue(after, "tyllm_rpc_seconds_count{method=\"JobService.SubmitJob\"}"), "1");
  EXPECT_NE(MetricValue(after, "tyllm_store_commit_seconds_count"), "0");
  EXPECT_NE(MetricValue(after, "tyllm_store_operations_per_commit_count"), "0");
  EXPECT_EQ(testing::HttpGet(server_.server().http_address(), "/healthz").body, "ok\n");
  const auto page = testing::HttpGet(server_.server().http_address(), "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("gpu1"), std::string::npos);
}

TEST_F(JobCalls, EndedJobsAreCountedByKindStateAndBlame) {
  const auto ended = [&](const std::string& state, const std::string& blame) {
    const std::string page = testing::HttpGet(server_.server().http_address(), "/metrics").body;
    return MetricValue(page, "tyllm_jobs_ended_total{blame=\"" + blame +
                                 "\",kind=\"convert\",state=\"" + state + "\"}");
  };
  SubmitGood("a");
  const v1::Assignment work = Lease();
  v1::SyncRequest request;
  v1::Held& held = *request.add_held();
  held.set_task_id(work.task_id());
  held.set_attempt(work.attempt());
  held.mutable_failure()->set_blame(v1::BLAME_MODEL);
  held.mutable_failure()->set_reason("NAN_WEIGHTS");
  v1::SyncResponse response;
  ASSERT_TRUE(Sync(request, response).ok());
  EXPECT_EQ(ended("failed", "model"), "1");
  EXPECT_EQ(ended("failed", "user"), "absent");
  const v1::Job second = SubmitGood("b");
  v1::CancelJobRequest cancel;
  cancel.set_job_id(second.id());
  v1::CancelJobResponse cancelled;
  CallContext context;
  ASSERT_TRUE(jobs_->CancelJob(&context, cancel, &cancelled).ok());
  EXPECT_EQ(ended("cancelled", "none"), "1");
  EXPECT_EQ(ended("succeeded", "none"), "absent");
}

}  // namespace
}  // namespace tyllm::server::rpc
