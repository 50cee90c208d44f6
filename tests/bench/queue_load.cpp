// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/queue_load.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/clock.h"
#include "common/format/tree.h"
#include "common/wire/jobs.h"
#include "server/blobs/folder_blob_store.h"
#include "server/store/sqlite_queue.h"
#include "tests/bench/stream_submitter.h"
#include "tyllm/v1/blobs.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSpecBytes = 512;
constexpr std::string_view kFile = "a model that is one small file";

std::string TreeText() {
  const BlobId file{DigestOf(kFile), kFile.size()};
  return format::ToText(format::Tree{{{.path = "model", .blob = file}}});
}

double Seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

grpc::Status Upload(v1::BlobService::Stub& stub, std::string_view content) {
  grpc::ClientContext context;
  v1::UploadResponse response;
  const auto stream = stub.Upload(&context, &response);
  v1::UploadRequest request;
  *request.mutable_blob() = wire::ToProto(BlobId{DigestOf(content), content.size()});
  stream->Write(request);
  v1::UploadRequest data;
  data.set_data(std::string(content));
  stream->Write(data);
  stream->WritesDone();
  return stream->Finish();
}

/// One of several callers on one thread: each makes its next call when the last is answered.
class Caller {
 public:
  explicit Caller(grpc::CompletionQueue& answers) : answers_(answers) {}

  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  virtual ~Caller() = default;

  /// Makes the first call, or after an answer the next; false when there is none to make.
  virtual bool Next() = 0;

  const grpc::Status& status() const { return status_; }

 protected:
  /// `prepare(context, queue)` gives the call, whose answer goes to `response`.
  template <typename Response, typename Prepare>
  void Start(Response& response, Prepare prepare) {
    context_.emplace();
    auto call = prepare(&*context_, &answers_);
    call->StartCall();
    call->Finish(&response, &status_, this);
  }

 private:
  grpc::CompletionQueue& answers_;
  std::optional<grpc::ClientContext> context_;
  grpc::Status status_;
};

template <typename Callers>
void RunAll(grpc::CompletionQueue& answers, const Callers& callers) {
  std::size_t calling = 0;
  for (const auto& caller : callers) {
    calling += caller->Next() ? 1 : 0;
  }
  void* answered = nullptr;
  bool ok = false;
  while (calling > 0 && answers.Next(&answered, &ok)) {
    auto& caller = *static_cast<Caller*>(answered);
    CheckOk(caller.status());
    calling -= caller.Next() ? 0 : 1;
  }
  answers.Shutdown();
  while (answers.Next(&answered, &ok)) {
  }
}

/// Submits one job after the other.
class Submitter final : public Caller {
 public:
  /// Takes requests off the end.
  Submitter(grpc::CompletionQueue& answers, const std::shared_ptr<grpc::Channel>& channel,
            Requests& left)
      : Caller(answers), stub_(v1::JobService::NewStub(channel)), left_(left) {}

  bool Next() override {
    if (left_.empty()) {
      return false;
    }
    const v1::SubmitJobRequest request = std::move(left_.back());
    left_.pop_back();
    Start(response_, [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
      return stub_->PrepareAsyncSubmitJob(context, request, queue);
    });
    return true;
  }

 private:
  std::unique_ptr<v1::JobService::Stub> stub_;
  Requests& left_;
  v1::SubmitJobResponse response_;
};

v1::SyncRequest FromWorker(const std::string& name, v1::TaskKind kind, int slots) {
  v1::SyncRequest request;
  request.set_worker(name);
  request.set_session(name + "-" + std::to_string(Clock::now().time_since_epoch().count()));
  request.mutable_capabilities()->set_slots(slots);
  request.mutable_capabilities()->set_toolchain_version("bench");
  request.mutable_capabilities()->add_kinds(kind);
  request.set_wait_ms(500);
  return request;
}

void Finish(const v1::Assignment& assignment, const BlobId& output, v1::SyncRequest& request) {
  v1::Held& held = *request.add_held();
  held.set_task_id(assignment.task_id());
  held.set_attempt(assignment.attempt());
  *held.mutable_succeeded()->mutable_output() = wire::ToProto(output);
}

/// A worker that does nothing but finish.
class Finisher final : public Caller {
 public:
  /// `end` becomes the time at which nothing was left.
  Finisher(grpc::CompletionQueue& answers, const std::shared_ptr<grpc::Channel>& channel,
           std::int64_t& left, Clock::time_point& end, const BlobId& output,
           const std::string& name, int slots)
      : Caller(answers),
        stub_(v1::WorkerService::NewStub(channel)),
        left_(left),
        end_(end),
        output_(output),
        request_(FromWorker(name, v1::TASK_KIND_EVALUATE, slots)) {}

  bool Next() override {
    const int done = response_.acknowledged_size();
    if (done > 0 && left_ > 0 && left_ <= done) {
      end_ = Clock::now();  // what the last ones wait for is not work
    }
    left_ -= done;
    if (request_.draining()) {
      return false;
    }
    request_.clear_held();
    for (const v1::Assignment& assignment : response_.start()) {
      Finish(assignment, output_, request_);
    }
    request_.set_draining(left_ <= 0);  // the last call only reports
    Start(response_, [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
      return stub_->PrepareAsyncSync(context, request_, queue);
    });
    return true;
  }

 private:
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::int64_t& left_;
  Clock::time_point& end_;
  const BlobId output_;
  v1::SyncRequest request_;
  v1::SyncResponse response_;
};

// Of jobs whose numbers no others have: far above those that wait, and new in every call.
Requests NewJobs(const BlobId& model, std::int64_t count, const std::string& name) {
  static std::int64_t next = 1'000'000'000;
  Requests requests;
  for (std::int64_t i = 0; i < count; ++i) {
    requests.push_back(JobOf(v1::JOB_KIND_EVALUATE, name + std::to_string(i), next++, model));
  }
  return requests;
}

}  // namespace

Result<BlobId> UploadSmallTree(const MeasuredServer& server) {
  const auto stub = v1::BlobService::NewStub(server.Connect());
  for (const std::string& content : {std::string(kFile), TreeText()}) {
    const grpc::Status status = Upload(*stub, content);
    if (!status.ok()) {
      return Unavailable(status.error_message());
    }
  }
  return BlobId{DigestOf(TreeText()), TreeText().size()};
}

Result<BlobId> StoreSmallTree(const std::filesystem::path& data) {
  TYLLM_TRY(LocalFileSystem().CreateDirectories(data));
  TYLLM_ASSIGN(const auto blobs, server::blobs::OpenFolderBlobStore(LocalFileSystem(),
                                                                    data / "blobs", SystemClock()));
  TYLLM_TRY(blobs->WriteSmall(std::string(kFile)).status());
  return blobs->WriteSmall(TreeText());
}

v1::SubmitJobRequest JobOf(v1::JobKind kind, const std::string& name, std::int64_t number,
                           const BlobId& model) {
  v1::SubmitJobRequest request;
  request.set_request_id(name + "/" + std::to_string(number));
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_kind(kind);
  spec.set_name(name);
  *spec.mutable_model() = wire::ToProto(model);
  if (kind == v1::JOB_KIND_EVALUATE) {
    spec.mutable_evaluate()->set_max_windows(number);  // no two are the same work
  } else {
    spec.set_no_cache(true);
  }
  for (int label = 0; spec.ByteSizeLong() + 16 < kSpecBytes; ++label) {
    const std::size_t missing = kSpecBytes - 16 - spec.ByteSizeLong();
    (*spec.mutable_labels())["label" + std::to_string(label)] =
        std::string(std::min<std::size_t>(missing, 200), 'x');
  }
  return request;
}

Status FillQueue(const std::filesystem::path& data, const BlobId& model, std::int64_t count) {
  constexpr std::int64_t kATime = 2000;
  TYLLM_ASSIGN(const auto queue,
               server::store::OpenSqliteQueue(
                   {.file = data / "queue.db", .toolchain_version = "bench", .vfs = {}}));
  for (std::int64_t done = 0; done < count;) {
    TYLLM_TRY(queue->Begin());
    for (std::int64_t i = 0; i < kATime && done < count; ++i, ++done) {
      const v1::SubmitJobRequest request =
          JobOf(v1::JOB_KIND_EVALUATE, "waiting" + std::to_string(done), done, model);
      TYLLM_ASSIGN(const domain::JobSpec spec, wire::FromProto(request.spec()));
      TYLLM_TRY(
          queue->Enqueue({request.request_id(), spec, domain::PlanJob(spec)}, 1'700'000'000'000)
              .status());
    }
    TYLLM_TRY(queue->Commit().status());
  }
  return OkStatus();
}

double SubmitRate(const MeasuredServer& server, const BlobId& model, std::int64_t count,
                  int in_flight, const std::string& name) {
  Requests requests = NewJobs(model, count, name);
  const auto channel = server.Connect();
  grpc::CompletionQueue answers;
  std::vector<std::unique_ptr<Submitter>> clients;
  for (int i = 0; i < in_flight; ++i) {
    clients.push_back(std::make_unique<Submitter>(answers, channel, requests));
  }
  const Clock::time_point start = Clock::now();
  RunAll(answers, clients);
  return static_cast<double>(count) / Seconds(Clock::now() - start);
}

double StreamRate(const MeasuredServer& server, const BlobId& model, std::int64_t count,
                  int in_flight, const std::string& name) {
  StreamSubmitter submitter(server.Connect(), NewJobs(model, count, name));
  const Clock::time_point start = Clock::now();
  submitter.Run(in_flight);
  return static_cast<double>(count) / Seconds(Clock::now() - start);
}

double ClaimAndCompleteRate(const MeasuredServer& server, const BlobId& output, std::int64_t count,
                            const Workers& farm) {
  std::int64_t left = count;
  Clock::time_point end;
  const auto channel = server.Connect();
  grpc::CompletionQueue answers;
  std::vector<std::unique_ptr<Finisher>> workers;
  for (int i = 0; i < farm.count; ++i) {
    workers.push_back(std::make_unique<Finisher>(answers, channel, left, end, output,
                                                 "worker" + std::to_string(i), farm.slots));
  }
  const Clock::time_point start = Clock::now();
  RunAll(answers, workers);
  return static_cast<double>(count) / Seconds(end - start);
}

std::vector<double> DispatchLatencies(const MeasuredServer& server, const BlobId& tree, int count,
                                      const std::string& name) {
  const auto jobs = v1::JobService::NewStub(server.Connect());
  const auto workers = v1::WorkerService::NewStub(server.Connect());
  std::vector<double> milliseconds;
  v1::SyncRequest request = FromWorker("converter", v1::TASK_KIND_CONVERT, 1);
  for (int i = 0; i < count; ++i) {
    // As the time in which a worker comes to wait is not known: far longer than that.
    std::atomic<Clock::rep> submitted = 0;
    std::thread client([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + i % 7));
      grpc::ClientContext context;
      v1::SubmitJobResponse response;
      const auto job = JobOf(v1::JOB_KIND_CONVERT, name + std::to_string(i), i, tree);
      submitted = Clock::now().time_since_epoch().count();
      CheckOk(jobs->SubmitJob(&context, job, &response));
    });
    v1::SyncResponse response;
    while (response.start_size() == 0) {
      grpc::ClientContext context;
      CheckOk(workers->Sync(&context, request, &response));
      request.clear_held();
    }
    const Clock::time_point got = Clock::now();
    client.join();
    milliseconds.push_back(Seconds(got - Clock::time_point(Clock::duration(submitted.load()))) *
                           1000);
    request.clear_held();
    Finish(response.start(0), tree, request);
  }
  request.set_draining(true);
  grpc::ClientContext context;
  v1::SyncResponse response;
  CheckOk(workers->Sync(&context, request, &response));
  std::sort(milliseconds.begin(), milliseconds.end());
  return milliseconds;
}

}  // namespace tyllm::bench
