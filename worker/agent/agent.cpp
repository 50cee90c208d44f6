// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/agent.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "common/base/pause.h"

namespace tyllm::agent {

namespace {

constexpr Milliseconds kIdleWait{25'000};    // how long the server may hold an idle worker's call
constexpr Milliseconds kCallMargin{10'000};  // on top of that before the call is given up
constexpr Milliseconds kFirstRetry{500};
constexpr Milliseconds kLastRetry{10'000};
constexpr Milliseconds kHandBackLimit{5'000};

std::string NewSession() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += std::to_string(device()) + (i < 3 ? "-" : "");
  }
  return text;
}

domain::Capabilities CapabilitiesOf(const AgentConfig& config) {
  domain::Capabilities is;
  is.device = config.device == "auto" ? "cpu" : config.device.substr(0, config.device.find(':'));
  struct sysinfo info{};
  if (::sysinfo(&info) == 0) {
    is.memory_bytes = static_cast<std::int64_t>(info.totalram) * info.mem_unit;
  }
  const auto disk = LocalFileSystem().FreeBytes(config.work);
  is.disk_free_bytes = disk.ok() ? static_cast<std::int64_t>(*disk) : 0;
  is.cpus = static_cast<std::int32_t>(std::thread::hardware_concurrency());
  is.slots = config.slots;
  is.toolchain_version = config.toolchain_version;
  is.labels = config.labels;
  return is;
}

bool IsRunning(const domain::HeldAttempt& held) {
  return std::holds_alternative<domain::Running>(held.outcome);
}

}  // namespace

Agent::Agent(AgentConfig config, const Clock& clock, telemetry::Log& log)
    : config_(std::move(config)),
      clock_(clock),
      logbook_(log),
      session_{config_.name, NewSession()},
      news_(false) {}

Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::Create(AgentConfig config,
                                             std::shared_ptr<grpc::Channel> channel,
                                             std::shared_ptr<grpc::Channel> blob_channel,
                                             const Clock& clock, telemetry::Log& log) {
  std::unique_ptr<Agent> agent(new Agent(std::move(config), clock, log));
  FileSystem& files = LocalFileSystem();
  // What an earlier process left of its attempts is lost with its session.
  TYLLM_TRY(files.RemoveAll(agent->config_.work / "attempts"));
  TYLLM_TRY(files.CreateDirectories(agent->config_.work / "attempts"));
  TYLLM_ASSIGN(agent->trees_,
               TreeCache::Open(agent->config_.work / "trees", agent->config_.cache_bytes, clock));
  agent->link_ = std::make_unique<FarmLink>(channel);
  Agent* const self = agent.get();
  agent->around_ = std::make_unique<AttemptSurroundings>(AttemptSurroundings{
      .config = agent->config_,
      .session = agent->session_,
      .link = *agent->link_,
      .channel = std::move(blob_channel),
      .trees = *agent->trees_,
      .clock = clock,
      .on_news =
          [self] {
            {
              auto news = self->news_.Lock();
              *news = true;
            }
            self->news_.Notify();
          },
  });
  return agent;
}

domain::SyncRequest Agent::Request(bool draining) {
  domain::SyncRequest request;
  request.from = session_;
  request.capabilities = CapabilitiesOf(config_);
  request.draining = draining;
  for (const auto& [task, attempt] : attempts_) {
    request.held.push_back(attempt->Held());
  }
  // A worker that runs something calls often enough to renew; only an idle one lets the server hold
  // its call.
  request.wait_ms = attempts_.empty() && !draining ? kIdleWait.count() : 0;
  return request;
}

void Agent::Drop(const domain::TaskId& task) {
  const auto it = attempts_.find(task);
  if (it != attempts_.end()) {
    it->second->Stop();
    ending_.push_back(std::move(it->second));
    attempts_.erase(it);
  }
}

void Agent::Apply(const domain::SyncReply& reply, Clock::Steady asked) {
  lease_end_ = asked + Milliseconds(reply.lease_ms);
  next_sync_ = Milliseconds(std::max<std::int64_t>(reply.next_sync_ms, 50));
  for (const domain::TaskId& task : reply.stop) {
    if (const auto it = attempts_.find(task); it != attempts_.end()) {
      logbook_.Info("told to stop an attempt", {{"attempt", it->second->id().ToString()}});
      it->second->Stop();
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
}

void Agent::StopWhatIsLost() {
  if (attempts_.empty() || clock_.Now() < lease_end_) {
    return;
  }
  logbook_.Warning("no answer from the server for a whole lease: stopping what runs",
                   {{"server", config_.server}});
  attempts_.clear();
}

void Agent::WaitForNews(Milliseconds limit, const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] { around_->on_news(); });
  auto news = news_.Lock();
  news.WaitUntil(std::chrono::steady_clock::now() + limit, [](bool is_news) { return is_news; });
  *news = false;
}

Status Agent::Run(const std::stop_token& stop) {
  Milliseconds retry = kFirstRetry;
  while (!stop.stop_requested()) {
    const domain::SyncRequest request = Request(false);
    const Clock::Steady asked = clock_.Now();
    const auto reply = link_->Sync(request, Milliseconds(request.wait_ms) + kCallMargin, stop);
    if (reply.ok()) {
      retry = kFirstRetry;
      Apply(*reply, asked);
      if (!attempts_.empty()) {
        WaitForNews(next_sync_, stop);
      }
      continue;
    }
    if (stop.stop_requested()) {
      break;
    }
    logbook_.Warning("the server does not answer",
                     {{"server", config_.server}, {"error", reply.status().ToString()}});
    WaitForNews(retry, stop);
    retry = std::min(2 * retry, kLastRetry);
    StopWhatIsLost();
  }
  HandBack();
  return OkStatus();
}

void Agent::HandBack() {
  for (const auto& [task, attempt] : attempts_) {
    attempt->Stop();
  }
  const Clock::Steady deadline = clock_.Now() + config_.grace + kHandBackLimit;
  while (!attempts_.empty() && clock_.Now() < deadline) {
    const domain::SyncRequest request = Request(true);
    const bool ended = std::none_of(request.held.begin(), request.held.end(), IsRunning);
    const auto reply = link_->Sync(request, kHandBackLimit, {});
    if (reply.ok()) {
      for (const domain::TaskId& task : reply->acknowledged) {
        attempts_.erase(task);
      }
    } else if (ended) {
      break;  // nothing runs, and nobody listens
    }
    PauseFor(Milliseconds(100), {});
  }
  attempts_.clear();
}

}  // namespace tyllm::agent
