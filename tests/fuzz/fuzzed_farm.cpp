// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzzed_farm.h"

#include <stdlib.h>  // NOLINT: mkdtemp

#include <array>
#include <filesystem>

#include "common/format/tree.h"
#include "common/wire/admin.h"
#include "common/wire/blobs.h"
#include "common/wire/enums.h"
#include "common/wire/job_changes.h"
#include "common/wire/jobs.h"
#include "common/wire/projects.h"
#include "common/wire/results.h"
#include "common/wire/workers.h"
#include "server/core/append_log.h"
#include "server/core/cancel_job.h"
#include "server/core/forget_results.h"
#include "server/core/get_job.h"
#include "server/core/list_jobs.h"
#include "server/core/list_workers.h"
#include "server/core/projects.h"
#include "server/core/read_log.h"
#include "server/core/retry_job.h"
#include "server/core/set_worker_mode.h"
#include "server/core/submit_job.h"
#include "server/core/sweep.h"
#include "server/core/sync_worker.h"
#include "server/core/update_job.h"
#include "server/core/watch_job.h"

namespace tyllm::fuzz {

namespace {

using server::core::Farm;

Path NewFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tyllm_fuzz_XXXXXX").string();
  TYLLM_CHECK(::mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

/// A row: parses, converts, calls, and converts the answer back, as a service does.
using Method = std::optional<Status> (*)(FuzzedFarm& farm, std::string_view bytes);

template <typename Request>
std::optional<Request> Parse(std::string_view bytes) {
  Request request;
  return request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))
             ? std::optional(std::move(request))
             : std::nullopt;
}

// What the server answers it can read itself.
template <typename Answer>
void CheckReadable(const Answer& answer) {
  const auto proto = wire::ToProto(answer);
  const auto read = wire::FromProto(proto);
  if constexpr (requires { read.ok(); }) {
    TYLLM_CHECK(read.ok());
  }
  static_cast<void>(proto.SerializeAsString());
}

template <typename Request, auto kUseCase>
std::optional<Status> Unary(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<Request>(bytes);
  if (!request) {
    return std::nullopt;
  }
  auto input = wire::FromProto(*request);
  if (!input.ok()) {
    return input.status();
  }
  auto answer = farm.Await(kUseCase(farm.farm(), *std::move(input)));
  if (answer.ok()) {
    CheckReadable(*answer);
  }
  return answer.status();
}

template <typename Request, auto kUseCase>
std::optional<Status> OnJob(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<Request>(bytes);
  if (!request) {
    return std::nullopt;
  }
  const auto id = wire::IdFromProto<domain::JobId>(request->job_id(), "job_id");
  if (!id.ok()) {
    return id.status();
  }
  auto answer = farm.Await(kUseCase(farm.farm(), *id));
  if (answer.ok()) {
    CheckReadable(*answer);
  }
  return answer.status();
}

std::optional<Status> Append(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<v1::AppendLogRequest>(bytes);
  if (!request) {
    return std::nullopt;
  }
  auto append = wire::FromProto(*request);
  if (!append.ok()) {
    return append.status();
  }
  return farm.Await(server::core::AppendLog(farm.farm(), *std::move(append))).status();
}

boost::asio::awaitable<Status> WatchOnce(Farm& farm, domain::JobId job, std::int64_t after) {
  server::core::JobWatch watch(farm, job, after);
  auto events = co_await watch.Next(Milliseconds(0));
  if (events.ok()) {
    for (const domain::JobEvent& event : events->events) {
      CheckReadable(event);
    }
  }
  co_return events.status();
}

std::optional<Status> Watch(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<v1::WatchJobRequest>(bytes);
  if (!request) {
    return std::nullopt;
  }
  const auto id = wire::IdFromProto<domain::JobId>(request->job_id(), "job_id");
  return id.ok() ? farm.Await(WatchOnce(farm.farm(), *id, request->after_event())) : id.status();
}

std::optional<Status> ReadLog(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<v1::ReadLogRequest>(bytes);
  if (!request) {
    return std::nullopt;
  }
  const auto task = wire::IdFromProto<domain::TaskId>(request->task_id(), "task_id");
  if (!task.ok() || request->attempt() < 0 || request->offset() < 0) {
    return InvalidArgument("the service refuses it");
  }
  const server::core::LogPosition position{*task, request->attempt(), request->offset()};
  return farm.Await(server::core::ReadLog(farm.farm(), position, Milliseconds(0))).status();
}

std::optional<Status> FindMissing(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<v1::FindMissingRequest>(bytes);
  if (!request) {
    return std::nullopt;
  }
  const auto blobs = wire::FromProto(*request);
  return blobs.ok() ? farm.farm().parts.blobs.FindMissing(*blobs).status() : blobs.status();
}

std::optional<Status> SetMode(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<v1::SetWorkerModeRequest>(bytes);
  if (!request) {
    return std::nullopt;
  }
  const auto mode = wire::EnumFromProto<domain::WorkerMode>(request->mode(), "mode");
  if (!mode.ok()) {
    return mode.status();
  }
  return farm
      .Await(
          server::core::SetWorkerMode(farm.farm(), {request->worker(), {*mode, request->reason()}}))
      .status();
}

std::optional<Status> SetProject(FuzzedFarm& farm, std::string_view bytes) {
  const auto request = Parse<v1::SetProjectRequest>(bytes);
  if (!request) {
    return std::nullopt;
  }
  return farm
      .Await(server::core::SetProject(farm.farm(), {.request_id = request->request_id(),
                                                    .project = wire::FromProto(request->project()),
                                                    .etag = request->etag()}))
      .status();
}

std::optional<Status> ListAll(FuzzedFarm& farm, std::string_view /*bytes*/) {
  const auto workers = farm.Await(server::core::ListWorkers(farm.farm()));
  TYLLM_CHECK(workers.ok());
  for (const domain::WorkerView& worker : *workers) {
    CheckReadable(worker);
  }
  return farm.Await(server::core::ListProjects(farm.farm())).status();
}

// The corpus names methods by their numbers here: add at the end.
constexpr std::array<Method, 15> kMethods = {
    Unary<v1::SubmitJobRequest, server::core::SubmitJob>,
    OnJob<v1::GetJobRequest, server::core::GetJob>,
    Unary<v1::ListJobsRequest, server::core::ListJobs>,
    Unary<v1::CancelJobRequest, server::core::CancelJob>,
    Watch,
    ReadLog,
    Unary<v1::SyncRequest, server::core::SyncWorker>,
    Append,
    FindMissing,
    SetMode,
    SetProject,
    ListAll,
    Unary<v1::RetryJobRequest, server::core::RetryJob>,
    Unary<v1::UpdateJobRequest, server::core::UpdateJob>,
    Unary<v1::ForgetResultsRequest, server::core::ForgetResults>,
};

}  // namespace

FuzzedFarm::FuzzedFarm() : folder_(NewFolder()) {
  Open();
  // The tree that the corpus's jobs are about: one empty file.
  const auto file = farm_->blobs().WriteSmall("");
  TYLLM_CHECK(file.ok());
  const format::Tree tree{{{.path = "f", .blob = *file}}};
  TYLLM_CHECK(farm_->blobs().WriteSmall(format::ToText(tree)).ok());
}

FuzzedFarm::~FuzzedFarm() {
  farm_.reset();
  std::filesystem::remove_all(folder_);
}

void FuzzedFarm::Open() {
  server::core::Limits limits;
  limits.longest_wait = Milliseconds(0);
  auto farm = testing::BareFarm::Open({.files = LocalFileSystem(),
                                       .folder = folder_,
                                       .vfs = disk_.name(),
                                       .clock = clock_,
                                       .limits = limits});
  TYLLM_CHECK(farm.ok());
  farm_ = *std::move(farm);
}

void FuzzedFarm::Restart() {
  farm_.reset();
  Open();
}

std::size_t FuzzedFarm::methods() {
  return kMethods.size();
}

std::optional<Status> FuzzedFarm::Call(std::size_t method, std::string_view bytes) {
  return kMethods.at(method)(*this, bytes);
}

Status FuzzedFarm::Sweep() {
  return Await(server::core::Sweep(farm()));
}

void FuzzedFarm::CheckInvariants() {
  TYLLM_CHECK(farm().parts.store.health().ok());
  TYLLM_CHECK(Sweep().ok());
  const Status sound = Await(farm().parts.store.Run([](server::store::Queue& queue) -> Status {
    server::store::JobFilter all;
    all.limit = 1000;
    TYLLM_ASSIGN(const auto jobs, queue.ListJobs(all));
    for (const domain::JobView& shown : jobs) {
      TYLLM_ASSIGN(const domain::JobView job, queue.GetJob(shown.id));
      TYLLM_CHECK(job.spec == shown.spec && job.state == shown.state);
      TYLLM_ASSIGN(const auto events, queue.EventsAfter(job.id, 0, 100'000));
      TYLLM_CHECK(static_cast<std::int64_t>(events.size()) == job.last_event);
      for (const domain::TaskView& task : job.tasks) {
        TYLLM_CHECK(!IsFinal(job.state) || IsFinal(task.state));
      }
    }
    TYLLM_ASSIGN(const auto held, queue.AllHeld());
    for (const server::store::HeldTask& task : held) {
      TYLLM_CHECK(task.id.attempt > 0 && !task.holder.worker.empty());
    }
    return OkStatus();
  }));
  TYLLM_CHECK(sound.ok());
}

}  // namespace tyllm::fuzz
