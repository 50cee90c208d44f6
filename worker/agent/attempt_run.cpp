// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/attempt_run.h"

#include <utility>

#include "common/base/pause.h"
#include "common/domain/task_order.h"
#include "common/format/json.h"
#include "worker/agent/log_shipper.h"

namespace tyllm::agent {

namespace {

constexpr Milliseconds kLogPeriod{500};
constexpr Milliseconds kLogRetry{2000};

domain::Failure WorkerFailure(std::string_view reason, const Status& status) {
  domain::Failure failure;
  failure.blame =
      status.code() == StatusCode::kDataLoss ? domain::Blame::kFarm : domain::Blame::kWorker;
  failure.reason = reason;
  failure.message = status.message();
  failure.retryable = true;
  return failure;
}

}  // namespace

AttemptRun::AttemptRun(const AttemptSurroundings& surroundings, domain::Assignment assignment)
    : around_(surroundings),
      assignment_(std::move(assignment)),
      folder_(around_.config.work / "attempts" /
              (assignment_.id.task.ToString() + "-" + std::to_string(assignment_.id.attempt))),
      log_(folder_ / "log"),
      thread_([this] { Work(); }) {}

AttemptRun::~AttemptRun() {
  Stop();
  if (thread_.joinable()) {
    thread_.join();
  }
  // What is left is of no use to anyone; a failure here only costs disk until the next start.
  (void)LocalFileSystem().RemoveAll(folder_);
}

domain::HeldAttempt AttemptRun::Held() {
  auto state = state_.Lock();
  return {assignment_.id, state->progress, LogBytes(log_), state->outcome};
}

void AttemptRun::Stop() {
  stop_.request_stop();
}

void AttemptRun::Report(const domain::Progress& progress) {
  auto state = state_.Lock();
  state->progress = progress;
}

void AttemptRun::Report(const std::string& stage, std::uint64_t done, std::uint64_t total) {
  Report({stage, static_cast<std::int64_t>(done), static_cast<std::int64_t>(total), "bytes", ""});
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
  {
    auto state = state_.Lock();
    state->outcome = std::move(outcome);
  }
  around_.on_news();
}

domain::Outcome AttemptRun::Perform(const std::stop_token& stop) {
  wire::BlobTransfer transfer(around_.channel, around_.clock, around_.config.patience);
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
  const auto order = WriteOrder(*inputs);
  if (!order.ok()) {
    return failed("NO_WORKSPACE", order.status());
  }
  if (auto ended = RunJob(*order, stop)) {
    return *std::move(ended);
  }
  auto output = UploadOutput(transfer, stop);
  if (!output.ok()) {
    return failed("UPLOAD_FAILED", output.status());
  }
  return *output;
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

Result<Path> AttemptRun::WriteOrder(const std::vector<TreeCache::Lease>& inputs) const {
  const domain::TaskSpec& spec = assignment_.spec;
  domain::TaskOrder order{
      .kind = spec.kind,
      .name = spec.name,
      .quantize = spec.quantize,
      .convert = spec.convert,
      .evaluate = spec.evaluate,
      .compile = spec.compile,
      .die = spec.die,
  };
  std::size_t next = 0;
  for (const auto& [name, tree] : assignment_.inputs) {
    order.inputs[name] = inputs[next++].path().string();
  }
  order.output = (folder_ / "output").string();
  order.device = around_.config.device;
  order.cache = (around_.config.work / "objects").string();
  Path path = folder_ / "order.json";
  TYLLM_TRY(
      WriteFileAtomically(LocalFileSystem(), path, format::PrettyJson(format::ToJson(order))));
  return path;
}

std::optional<domain::Outcome> AttemptRun::RunJob(const Path& order, const std::stop_token& stop) {
  const ChildJob job{
      .argv = {around_.config.toolchain.string(), "task", "--spec", order.string()},
      .log = log_,
      .grace = around_.config.grace,
  };
  const auto end = RunChildJob(job, [this](const domain::Progress& p) { Report(p); }, stop);
  if (!end.ok()) {
    return WorkerFailure("JOB_NOT_STARTED", end.status());
  }
  if (end->stopped) {
    return domain::Stopped{};
  }
  if (!end->exit.ok()) {
    return FailureOf(*end, log_);
  }
  return std::nullopt;
}

Result<domain::Succeeded> AttemptRun::UploadOutput(wire::BlobTransfer& transfer,
                                                   const std::stop_token& stop) {
  const Path output = folder_ / "output";
  TYLLM_ASSIGN(const format::Tree tree, format::ScanTree(output));
  const auto progress = [this](std::uint64_t done, std::uint64_t total) {
    Report("upload", done, total);
  };
  TYLLM_TRY(transfer.UploadTree(tree, output, progress, stop));
  const format::TreeId id = IdOf(tree);
  around_.trees.Adopt(id, tree.bytes(), output);
  return domain::Succeeded{id};
}

void AttemptRun::ShipLog(const std::stop_token& job_ended) {
  LogShipper shipper(around_.link, around_.session, assignment_.id, log_);
  const auto give_up = around_.config.patience;
  Clock::Steady last_success = around_.clock.Now();
  while (true) {
    const bool last =
        job_ended.stop_requested();  // before shipping: what is there then is all there is
    const Status status = shipper.Ship({});
    if (status.code() == StatusCode::kAborted) {
      return;  // fenced: nobody wants it
    }
    if (status.ok()) {
      last_success = around_.clock.Now();
      if (last) {
        return;
      }
      PauseFor(kLogPeriod, job_ended);
    } else if (around_.clock.Now() - last_success > give_up) {
      return;  // the server refuses the outcome until it has the log, and the attempt is made again
    } else {
      PauseFor(kLogRetry, stop_.get_token());
    }
  }
}

}  // namespace tyllm::agent
