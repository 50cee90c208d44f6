// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/attempt_run.h"

#include <algorithm>
#include <utility>

#include "common/base/pause.h"
#include "common/domain/task_order.h"
#include "common/format/json.h"
#include "worker/agent/checkpointer.h"
#include "worker/agent/job_failure.h"
#include "worker/agent/log_shipper.h"
#include "worker/agent/machine.h"
#include "worker/agent/object_files.h"

namespace tyllm::agent {

namespace {

constexpr Milliseconds kLogPeriod{500};
constexpr Milliseconds kLogRetry{2000};
constexpr std::int64_t kObjectsPart = 4;  // of the cache's limit, for compiled objects at most

domain::Failure WorkerFailure(std::string_view reason, const Status& status) {
  domain::Failure failure;
  failure.blame =
      status.code() == StatusCode::kDataLoss ? domain::Blame::kFarm : domain::Blame::kWorker;
  failure.reason = status.code() == StatusCode::kResourceExhausted ? "OUT_OF_RESOURCES" : reason;
  failure.message = status.message();
  failure.retryable = true;
  failure.action = "it is tried again; look at the worker's log if that does not help";
  return failure;
}

// The checkpoint is gone or not what its name says: the work begins anew.
bool IsUseless(const Status& status) {
  return status.code() == StatusCode::kNotFound || status.code() == StatusCode::kDataLoss ||
         status.code() == StatusCode::kInvalidArgument;
}

bool MayComeBack(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted ||
         status.code() == StatusCode::kOutOfRange;
}

}  // namespace

AttemptRun::AttemptRun(const AttemptSurroundings& surroundings, domain::Assignment assignment)
    : around_(surroundings),
      assignment_(std::move(assignment)),
      folder_(around_.folder.attempts() /
              (assignment_.id.task.ToString() + "-" + std::to_string(assignment_.id.attempt))),
      log_(folder_ / "log"),
      thread_([this] { Work(); }) {}

AttemptRun::~AttemptRun() {
  Stop(StopReason::kAtOnce);
  destroyed_.request_stop();
  if (thread_.joinable()) {
    thread_.join();
  }
  // What is left is of no use to anyone; a failure here only costs disk until the next start.
  (void)LocalFileSystem().RemoveAll(folder_);
}

domain::HeldAttempt AttemptRun::Held() {
  auto state = state_.Lock();
  if (state->job > 0) {
    state->used.memory_bytes = std::max(state->used.memory_bytes, MemoryOfProcess(state->job));
  }
  domain::HeldAttempt held{assignment_.id, state->progress,   LogBytes(log_),
                           state->outcome, state->checkpoint, state->used};
  held.sending = state->sending;
  if (!std::holds_alternative<domain::Running>(state->outcome)) {
    held.stages = state->stages.times();
  }
  return held;
}

void AttemptRun::Stop(StopReason reason) {
  {
    auto state = state_.Lock();
    state->stopped = state->stopped.value_or(reason);
  }
  stop_.request_stop();
  if (reason == StopReason::kAtOnce) {
    hurry_.request_stop();
  }
}

void AttemptRun::Report(const domain::Progress& progress) {
  auto state = state_.Lock();
  state->progress = progress;
  state->stages.Tell(progress.stage, around_.clock.Now());
}

void AttemptRun::Report(const std::string& stage, std::uint64_t done, std::uint64_t total) {
  Report({stage, static_cast<std::int64_t>(done), static_cast<std::int64_t>(total), "bytes", ""});
}

domain::Failure AttemptRun::Signed(domain::Failure failure) const {
  failure.worker = around_.config.name;
  failure.attempt = assignment_.id.attempt;
  failure.log_bytes = LogBytes(log_);
  return failure;
}

void AttemptRun::Work() {
  domain::Outcome outcome;
  {
    // The shipper goes on until the job is over and the last byte is in, or nobody wants the log
    // any more.
    std::stop_source job_ended;
    std::jthread shipper([this, &job_ended] { ShipLog(job_ended.get_token()); });
    outcome = Perform(stop_.get_token());
    job_ended.request_stop();
  }
  if (auto* const failure = std::get_if<domain::Failure>(&outcome)) {
    *failure = Signed(std::move(*failure));
  }
  {
    auto state = state_.Lock();
    state->outcome = std::move(outcome);
    state->stages.End(around_.clock.Now());
  }
  around_.on_news();
}

domain::Outcome AttemptRun::Perform(const std::stop_token& stop) {
  wire::BlobTransfer transfer(around_.channel, around_.clock, around_.config.patience,
                              wire::BlobTransfer::Sender::kAttempt);
  const auto failed = [&](std::string_view reason, const Status& status) -> domain::Outcome {
    if (stop.stop_requested()) {
      return domain::Stopped{};
    }
    return WorkerFailure(reason, status);
  };
  if (const Status made = LocalFileSystem().CreateDirectories(folder_); !made.ok()) {
    return failed("NO_WORKSPACE", made);
  }
  auto inputs = FetchInputs(transfer, stop);
  if (!inputs.ok()) {
    return failed("FETCH_FAILED", inputs.status());
  }
  if (const Status fetched = FetchCheckpoint(transfer, stop); !fetched.ok()) {
    return failed("FETCH_FAILED", fetched);
  }
  {
    // Held while something computes with it, not while its inputs or its output are on their way.
    const DevicePool::Share device = around_.devices.Take();
    const auto order = WriteOrder(*inputs, device.name());
    if (!order.ok()) {
      return failed("NO_WORKSPACE", order.status());
    }
    auto ended = RunJob(*order, stop);
    if (ended) {
      TidyCache();
      return *std::move(ended);
    }
  }
  {
    auto state = state_.Lock();
    state->sending = true;
  }
  around_.on_news();  // the next task may begin
  TidyCache();
  auto output = UploadOutput(transfer, stop);
  if (!output.ok()) {
    return failed("UPLOAD_FAILED", output.status());
  }
  return *output;
}

void AttemptRun::TidyCache() {
  around_.trees.MakeWayFor(
      PruneObjects(around_.folder.objects(), around_.config.cache_bytes / kObjectsPart));
}

Result<std::vector<TreeCache::Lease>> AttemptRun::FetchInputs(wire::BlobTransfer& transfer,
                                                              const std::stop_token& stop) {
  std::vector<TreeCache::Lease> leases;
  for (const auto& [name, tree] : assignment_.inputs) {
    const auto progress = [this](std::uint64_t done, std::uint64_t total) {
      Report("fetch", done, total);
    };
    TYLLM_ASSIGN(TreeCache::Lease lease, around_.trees.Fetch(tree, transfer, progress, stop));
    leases.push_back(std::move(lease));
  }
  return leases;
}

Status AttemptRun::FetchCheckpoint(wire::BlobTransfer& transfer, const std::stop_token& stop) {
  if (!assignment_.checkpoint || !KeepsUnfinishedWork(assignment_.spec.kind)) {
    return OkStatus();
  }
  const auto fetch = [&]() -> Status {
    TYLLM_ASSIGN(const format::Tree tree, transfer.ReadTree(assignment_.checkpoint->tree, stop));
    return transfer.DownloadTree(
        tree, Partial(),
        [this](std::uint64_t done, std::uint64_t total) { Report("resume", done, total); }, stop);
  };
  const Status fetched = fetch();
  if (IsUseless(fetched) && !stop.stop_requested()) {
    around_.log.Warning("unfinished work of an earlier attempt cannot be used",
                        {{"attempt", id().ToString()}, {"error", fetched.message()}});
    return LocalFileSystem().RemoveAll(Partial());
  }
  if (fetched.ok()) {
    around_.log.Info("going on from an earlier attempt's work",
                     {{"attempt", id().ToString()},
                      {"stage", assignment_.checkpoint->stage},
                      {"done", assignment_.checkpoint->done}});
  }
  return fetched;
}

Result<Path> AttemptRun::WriteOrder(const std::vector<TreeCache::Lease>& inputs,
                                    const std::string& device) const {
  const domain::TaskSpec& spec = assignment_.spec;
  domain::TaskOrder order{
      .kind = spec.kind,
      .name = spec.name,
      .quantize = spec.quantize,
      .convert = spec.convert,
      .evaluate = spec.evaluate,
      .compile = spec.compile,
      .die = spec.die,
      .compiler = spec.compiler,
  };
  std::size_t next = 0;
  for (const auto& [name, tree] : assignment_.inputs) {
    order.inputs[name] = inputs[next++].path().string();
  }
  order.output = Output().string();
  order.device = device;
  order.cache = around_.folder.objects().string();
  Path path = folder_ / "order.json";
  TYLLM_TRY(
      WriteFileAtomically(LocalFileSystem(), path, format::PrettyJson(format::ToJson(order))));
  return path;
}

std::optional<domain::Outcome> AttemptRun::RunJob(const Path& order, const std::stop_token& stop) {
  if (!KeepsUnfinishedWork(assignment_.spec.kind)) {
    return RunChild(order, stop);
  }
  wire::BlobTransfer transfer(around_.channel, around_.clock, around_.config.patience,
                              wire::BlobTransfer::Sender::kAttempt);
  Checkpointer checkpoints({Partial(), folder_ / "snapshot"}, around_.config.checkpoint,
                           {.transfer = transfer,
                            .clock = around_.clock,
                            .progress = [this] { return Held().progress; },
                            .on_checkpoint =
                                [this](const domain::Checkpoint& checkpoint) {
                                  auto state = state_.Lock();
                                  state->checkpoint = checkpoint;
                                },
                            .on_error =
                                [this](const Status& status) {
                                  around_.log.Warning(
                                      "unfinished work was not uploaded",
                                      {{"attempt", id().ToString()}, {"error", status.message()}});
                                }});
  auto outcome = RunChild(order, stop);
  checkpoints.Finish(IsWorthKeeping(outcome), hurry_.get_token());
  return outcome;
}

bool AttemptRun::IsWorthKeeping(const std::optional<domain::Outcome>& outcome) {
  if (!outcome || hurry_.stop_requested()) {
    return false;
  }
  if (const auto* const failure = std::get_if<domain::Failure>(&*outcome)) {
    return failure->retryable && failure->blame != domain::Blame::kToolchain;
  }
  auto state = state_.Lock();
  return state->stopped == StopReason::kHandBack;
}

std::optional<domain::Outcome> AttemptRun::RunChild(const Path& order,
                                                    const std::stop_token& stop) {
  const auto set_job = [this](pid_t process) {
    auto state = state_.Lock();
    state->job = process;
  };
  const ChildJob job{
      .argv = {around_.config.toolchain.string(), "task", "--spec", order.string()},
      .log = log_,
      .log_limit = around_.config.job_log_bytes,
      .grace = around_.config.grace,
      .at_once = hurry_.get_token(),
      .on_start =
          [&](pid_t process) {
            set_job(process);
            Report({.stage = "start", .unit = {}, .message = {}});
          },
  };
  const auto end = RunChildJob(job, [this](const domain::Progress& p) { Report(p); }, stop);
  set_job(-1);
  if (!end.ok()) {
    return WorkerFailure("JOB_NOT_STARTED", end.status());
  }
  {
    auto state = state_.Lock();
    state->used.gpu_memory_bytes =
        std::max(state->used.gpu_memory_bytes, end->used.gpu_memory_bytes);
  }
  if (end->stopped) {
    return domain::Stopped{};
  }
  if (!end->exit.ok()) {
    domain::Failure failure = FailureOf(*end, log_);
    if (failure.reason == domain::kToolMissingReason) {
      around_.on_tool_missing();  // before the server is told
    }
    return failure;
  }
  return std::nullopt;
}

Result<domain::Succeeded> AttemptRun::UploadOutput(wire::BlobTransfer& transfer,
                                                   const std::stop_token& stop) {
  const auto report = [this](const char* stage) {
    return [this, stage](std::uint64_t done, std::uint64_t total) { Report(stage, done, total); };
  };
  TYLLM_ASSIGN(const format::Tree tree, format::ScanTree(Output(), report("digest"), stop));
  {
    auto state = state_.Lock();
    state->used.disk_bytes = static_cast<std::int64_t>(tree.bytes());
  }
  TYLLM_TRY(transfer.UploadTree(tree, Output(), report("upload"), stop));
  around_.trees.Adopt(tree, Output());
  return domain::Succeeded{IdOf(tree)};
}

void AttemptRun::ShipLog(const std::stop_token& job_ended) {
  LogShipper shipper(around_.link, around_.session, assignment_.id, log_);
  const std::stop_token destroyed = destroyed_.get_token();
  Clock::Steady last_success = around_.clock.Now();
  while (!destroyed.stop_requested()) {
    const bool last =
        job_ended.stop_requested();  // before shipping: what is there then is all there is
    const Status status = shipper.Ship(destroyed);
    if (status.ok()) {
      last_success = around_.clock.Now();
      if (last) {
        return;
      }
      PauseFor(kLogPeriod, job_ended);
      continue;
    }
    const bool patient = around_.clock.Now() - last_success <= around_.config.patience;
    if (status.code() == StatusCode::kAborted || !(MayComeBack(status) || patient)) {
      return;  // fenced: nobody wants it; or the server will not have it, and the attempt's outcome
    }
    PauseFor(kLogRetry, destroyed);
  }
}

}  // namespace tyllm::agent
