// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/agent.h"

#include <algorithm>
#include <utility>

#include "common/base/pause.h"
#include "common/base/version.h"
#include "common/wire/channel.h"
#include "worker/agent/capabilities.h"
#include "worker/agent/strays.h"
#include "worker/agent/toolchain.h"
#include "worker/agent/unreturned.h"

namespace tyllm::agent {

namespace {

constexpr Milliseconds kIdleWait{60'000};    // how long the server may hold an idle worker's call
constexpr Milliseconds kCallMargin{10'000};  // on top of that before the call is given up
constexpr Milliseconds kShortestCall{500};
constexpr Milliseconds kFarewellCall{2000};
constexpr Milliseconds kFirstRetry{500};
constexpr Milliseconds kLastRetry{3'000};
constexpr Milliseconds kFolderPatience{15'000};  // for one whose server was killed to leave
constexpr Milliseconds kIdlePause{1'000};        // between calls that the server did not hold
constexpr std::size_t kMostTreesNamed = 256;

std::string NewSession() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += std::to_string(device()) + (i < 3 ? "-" : "");
  }
  return text;
}

bool IsRunning(const domain::HeldAttempt& held) {
  return std::holds_alternative<domain::Running>(held.outcome);
}

}  // namespace

Agent::Agent(AgentConfig config, WorkFolder folder, const Clock& clock, telemetry::Log& log)
    : config_(std::move(config)),
      folder_(std::move(folder)),
      clock_(clock),
      logbook_(log),
      session_{config_.name, NewSession()},
      news_(false),
      random_(std::random_device()()) {}

Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::Create(AgentConfig config,
                                             std::shared_ptr<grpc::Channel> channel,
                                             std::shared_ptr<grpc::Channel> blob_channel,
                                             const Clock& clock, telemetry::Log& log,
                                             const std::stop_token& stop) {
  TYLLM_ASSIGN(WorkFolder folder, WorkFolder::Open(config.work, kFolderPatience, stop));
  std::unique_ptr<Agent> agent(new Agent(std::move(config), std::move(folder), clock, log));
  TYLLM_TRY(agent->DescribeItself());
  TYLLM_ASSIGN(agent->trees_,
               TreeCache::Open(agent->folder_.trees(), agent->config_.cache_bytes, clock,
                               LocalFileSystem(), LocalBlobs(agent->config_.blobs)));
  agent->unreturned_ = ReadUnreturned(agent->folder_.unreturned(), agent->config_.name);
  agent->link_ = std::make_unique<FarmLink>(channel);
  Agent* const self = agent.get();
  agent->around_ = std::make_unique<AttemptSurroundings>(AttemptSurroundings{
      .config = agent->config_,
      .folder = agent->folder_,
      .session = agent->session_,
      .link = *agent->link_,
      .channel = std::move(blob_channel),
      .trees = *agent->trees_,
      .devices = *agent->devices_,
      .clock = clock,
      .log = log,
      .on_news =
          [self] {
            {
              auto news = self->news_.Lock();
              *news = true;
            }
            self->news_.Notify();
          },
      .on_tool_missing = [self] { self->AskForTools(); },
  });
  return agent;
}

Status Agent::DescribeItself() {
  auto facts = AskToolchain(config_.toolchain);
  if (!facts.ok()) {
    logbook_.Warning("the toolchain does not say what it is; taken for one of this version",
                     {{"error", facts.status().message()}});
    facts = domain::ToolchainFacts{
        .version = std::string(Version()),
        .dies = 0,
        .devices = {{.name = "cpu", .usable = true}},
    };
  }
  TYLLM_ASSIGN(const std::vector<domain::Device> devices, ChooseDevices(config_.device, *facts));
  std::vector<std::string> names;
  for (const domain::Device& device : devices) {
    names.push_back(device.name);
  }
  devices_ = std::make_unique<DevicePool>(names);
  is_ = DescribeWorker(config_, *facts, devices);
  auto tools = tools_.Lock();
  *tools = is_.tools;
  return OkStatus();
}

void Agent::AskForTools() {
  const auto facts = AskToolchain(config_.toolchain);
  if (facts.ok()) {
    auto tools = tools_.Lock();
    *tools = ToolsOf(*facts);
  } else {
    logbook_.Warning("the toolchain does not say which tools there are",
                     {{"error", facts.status().message()}});
  }
}

domain::SyncRequest Agent::Request(bool draining) {
  domain::SyncRequest request;
  request.from = session_;
  request.capabilities = is_;
  request.capabilities.disk_free_bytes = FreeDisk(config_);
  {
    auto tools = tools_.Lock();
    request.capabilities.tools = *tools;
  }
  request.draining = draining;
  request.cached_trees = trees_->Recent(kMostTreesNamed);
  for (const auto& [task, attempt] : attempts_) {
    request.held.push_back(attempt->Held());
  }
  request.held.insert(request.held.end(), unreturned_.begin(), unreturned_.end());
  // A worker that runs something calls often enough to renew; only an idle one lets the server hold
  // its call.
  request.wait_ms = request.held.empty() && !draining ? kIdleWait.count() : 0;
  return request;
}

void Agent::Drop(const domain::TaskId& task) {
  const auto it = attempts_.find(task);
  if (it != attempts_.end()) {
    it->second->Stop(StopReason::kUnwanted);
    ending_.push_back(std::move(it->second));
    attempts_.erase(it);
  }
}

void Agent::Apply(const domain::SyncReply& reply, Clock::Steady asked) {
  lease_end_ = asked + Milliseconds(reply.held_ms + reply.lease_ms);
  lost_ = false;
  ForgetUnreturned();
  // Often enough for a call to fail and the next one to come in time.
  next_sync_ = Milliseconds(std::clamp<std::int64_t>(
      reply.next_sync_ms, 50, std::max<std::int64_t>(reply.lease_ms / 3, 50)));
  for (const domain::TaskId& task : reply.stop) {
    if (const auto it = attempts_.find(task); it != attempts_.end()) {
      logbook_.Info("told to stop an attempt", {{"attempt", it->second->id().ToString()}});
      it->second->Stop(StopReason::kUnwanted);
    }
  }
  for (const domain::TaskId& task : reply.acknowledged) {
    Drop(task);
  }
  std::erase_if(ending_, [](const auto& attempt) { return !IsRunning(attempt->Held()); });
  for (const domain::Assignment& assignment : reply.start) {
    const auto it = attempts_.find(assignment.id.task);
    if (it != attempts_.end() && it->second->id() == assignment.id) {
      continue;
    }
    Drop(assignment.id.task);  // an older attempt of the same task is fenced
    logbook_.Info("starting an attempt",
                  {{"attempt", assignment.id.ToString()}, {"task", assignment.label}});
    attempts_[assignment.id.task] = std::make_unique<AttemptRun>(*around_, assignment);
  }
  Obey(reply.order);
}

void Agent::Obey(const domain::ModeOrder& order) {
  if (order != order_) {
    logbook_.Info("the worker's mode was set",
                  {{"mode", domain::kWorkerModeNames.Name(order.mode)}, {"reason", order.reason}});
    order_ = order;
  }
}

void Agent::StopWhatIsLost() {
  if (lost_ || attempts_.empty() || clock_.Now() < lease_end_) {
    return;
  }
  lost_ = true;
  logbook_.Warning("no answer from the server for a whole lease: stopping what runs",
                   {{"server", config_.server}});
  for (const auto& [task, attempt] : attempts_) {
    attempt->Stop(StopReason::kAtOnce);
  }
}

void Agent::WaitForNews(Milliseconds limit, const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] { around_->on_news(); });
  auto news = news_.Lock();
  news.WaitUntil(std::chrono::steady_clock::now() + limit, [](bool is_news) { return is_news; });
  *news = false;
}

Milliseconds Agent::CallLimit(const domain::SyncRequest& request) const {
  const Milliseconds usual = Milliseconds(request.wait_ms) + kCallMargin;
  if (attempts_.empty() || lost_) {
    return usual;
  }
  return std::clamp(TimeToLeaseEnd(), kShortestCall, usual);
}

Milliseconds Agent::TimeToLeaseEnd() const {
  return std::chrono::ceil<Milliseconds>(
      std::max(lease_end_ - clock_.Now(), Clock::Steady::duration(0)));
}

Milliseconds Agent::RetryPause() {
  retry_ = std::clamp(2 * retry_, kFirstRetry, kLastRetry);
  // A thousand workers that lost one server do not come back at one moment.
  std::uniform_int_distribution<std::int64_t> pause(retry_.count() / 2, retry_.count());
  return Milliseconds(pause(random_));
}

Status Agent::Turn(const std::stop_token& stop) {
  const domain::SyncRequest request = Request(order_.mode == domain::WorkerMode::kDraining);
  const Clock::Steady asked = clock_.Now();
  const auto reply = link_->Sync(request, CallLimit(request), stop);
  if (reply.ok()) {
    retry_ = Milliseconds(0);
    Apply(*reply, asked);
    if (order_.mode == domain::WorkerMode::kKilled ||
        (order_.mode == domain::WorkerMode::kDraining && IsIdle())) {
      return Cancelled("the server asked the worker to leave");
    }
    if (!IsIdle()) {
      WaitForNews(next_sync_, stop);
    } else if (clock_.Now() - asked < kIdlePause) {
      WaitForNews(kIdlePause, stop);
    }
    return OkStatus();
  }
  if (stop.stop_requested()) {
    return OkStatus();
  }
  if (reply.status().code() == StatusCode::kAborted) {
    return FailedPrecondition(reply.status().message());
  }
  if (reply.status().code() == StatusCode::kInvalidArgument) {
    return reply.status().Annotate("server " + config_.server + " does not take this worker");
  }
  logbook_.Warning("the server does not answer",
                   {{"server", config_.server}, {"error", reply.status().ToString()}});
  StopWhatIsLost();
  Milliseconds pause = RetryPause();
  if (!attempts_.empty() && !lost_) {
    pause = std::min(pause, TimeToLeaseEnd());
  }
  WaitForNews(pause, stop);
  StopWhatIsLost();
  if (!stop.stop_requested()) {
    link_->ConnectAtOnce();
  }
  wire::ConnectAtOnce(*around_->channel);
  return OkStatus();
}

Status Agent::Run(const std::stop_token& stop, const std::stop_token& orphaned) {
  Status status;
  while (status.ok() && !stop.stop_requested()) {
    ReapStrays();
    status = Turn(stop);
  }
  if (!status.ok() && status.code() != StatusCode::kCancelled) {
    return status;
  }
  const bool at_once = status.code() == StatusCode::kCancelled;
  HandBack(at_once ? StopReason::kAtOnce : StopReason::kHandBack, orphaned);
  return OkStatus();
}

void Agent::HandBack(StopReason reason, const std::stop_token& orphaned) {
  for (const auto& [task, attempt] : attempts_) {
    attempt->Stop(reason);
  }
  HandBackByCalls(orphaned);
  LeaveBehind();
  if (!orphaned.stop_requested()) {
    SayFarewell();
  }
}

void Agent::HandBackByCalls(const std::stop_token& orphaned) {
  const Clock::Steady deadline = clock_.Now() + config_.farewell;
  while (!attempts_.empty() && clock_.Now() < deadline && !orphaned.stop_requested()) {
    const domain::SyncRequest request = Request(true);
    const bool ended = std::none_of(request.held.begin(), request.held.end(), IsRunning);
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - clock_.Now());
    const auto reply = link_->Sync(request, std::max(left, kShortestCall), orphaned);
    if (reply.ok()) {
      ForgetUnreturned();
      for (const domain::TaskId& task : reply->acknowledged) {
        attempts_.erase(task);
      }
    } else if (ended) {
      break;  // nothing runs, and nobody listens
    }
    PauseFor(Milliseconds(100), orphaned);
  }
}

void Agent::LeaveBehind() {
  std::vector<domain::HeldAttempt> left = std::exchange(unreturned_, {});
  for (const auto& [task, attempt] : attempts_) {
    left.push_back(attempt->Held());
  }
  attempts_.clear();  // ends what runs
  if (left.empty()) {
    return;
  }
  const Status kept = KeepUnreturned(folder_.unreturned(), config_.name, std::move(left));
  if (!kept.ok()) {
    logbook_.Warning("attempts that were not handed back count as lost",
                     {{"error", kept.message()}});
  }
}

void Agent::ForgetUnreturned() {
  if (!unreturned_.empty()) {
    unreturned_.clear();
    (void)LocalFileSystem().RemoveAll(folder_.unreturned());  // told again, it comes too late
  }
}

void Agent::SayFarewell() {
  const auto said =
      link_->Sync(Request(true), std::clamp(config_.farewell, kShortestCall, kFarewellCall), {});
  if (!said.ok()) {
    logbook_.Info("the server was not told that this worker stops",
                  {{"error", said.status().message()}});
  }
}

}  // namespace tyllm::agent
