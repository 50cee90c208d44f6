// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/trouble.h"

#include <array>
#include <csignal>

namespace tyllm::testing {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kQuiet = 9;  // one step in so many begins something

}  // namespace

std::int64_t Trouble::Below(std::int64_t limit) {
  return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
}

milliseconds Trouble::Between(int least_ms, int most_ms) {
  return milliseconds(least_ms + Below(most_ms - least_ms));
}

void Trouble::After(milliseconds time, std::function<void()> what) {
  later_.emplace(std::chrono::steady_clock::now() + time, std::move(what));
}

void Trouble::KillServer() {
  if (!farm_.ServerRuns()) {
    return;
  }
  ++happened_["server killed"];
  farm_.KillServer();
  After(Between(0, 1500), [this] {
    if (!farm_.ServerRuns()) {
      farm_.StartServer();
    }
  });
}

// Shorter and longer than a lease and its grace: then it has heard nobody for as long.
void Trouble::FreezeServer() {
  if (!farm_.ServerRuns() || farm_.ServerIsFrozen()) {
    return;
  }
  const bool beyond = Below(3) == 0;
  ++happened_[beyond ? "server stopped beyond every lease" : "server stopped and continued"];
  farm_.FreezeServer();
  After(beyond ? Between(6000, 9000) : Between(100, 3000), [this] {
    if (farm_.ServerRuns() && farm_.ServerIsFrozen()) {
      farm_.ThawServer();
    }
  });
}

void Trouble::KillWorker() {
  const auto worker = static_cast<int>(Below(ChaosFarm::kWorkers));
  if (!farm_.WorkerRuns(worker)) {
    return;
  }
  ++happened_["worker killed"];
  farm_.KillWorker(worker);
  After(Between(0, 2000), [this, worker] {
    if (!farm_.WorkerRuns(worker)) {
      farm_.StartWorker(worker);
    }
  });
}

// Shorter and longer than a lease: those wake up as zombies.
void Trouble::FreezeWorker() {
  const auto worker = static_cast<int>(Below(ChaosFarm::kWorkers));
  if (!farm_.WorkerRuns(worker) || farm_.IsFrozen(worker)) {
    return;
  }
  const bool zombie = Below(2) == 0;
  ++happened_[zombie ? "worker stopped beyond its lease" : "worker stopped and continued"];
  farm_.Freeze(worker);
  After(zombie ? Between(6000, 9000) : Between(100, 2500), [this, worker] {
    if (farm_.WorkerRuns(worker) && farm_.IsFrozen(worker)) {
      farm_.Thaw(worker);
    }
  });
}

void Trouble::HitJob() {
  const auto worker = static_cast<int>(Below(ChaosFarm::kWorkers));
  if (!farm_.WorkerRuns(worker)) {
    return;
  }
  const std::vector<pid_t> jobs = farm_.Jobs(worker);
  if (jobs.empty()) {
    return;
  }
  const pid_t job = jobs[static_cast<std::size_t>(Below(static_cast<std::int64_t>(jobs.size())))];
  switch (Below(4)) {
    case 0:  // A job that stands still for ever is for the clocks to find.
      ++happened_["job stopped for good"];
      ::kill(-job, SIGSTOP);
      break;
    case 1:
      ++happened_["job stopped and continued"];
      ::kill(-job, SIGSTOP);
      After(Between(100, 4000), [job] { ::kill(-job, SIGCONT); });  // it may be gone
      break;
    default:
      ++happened_["job killed"];
      ::kill(-job, SIGKILL);
      break;
  }
}

void Trouble::JumpClock() {
  constexpr std::array<std::int64_t, 8> kSeconds = {-7200, -600, -10, -1, 1, 10, 600, 7200};
  const seconds shift(kSeconds[static_cast<std::size_t>(Below(kSeconds.size()))]);
  if (Below(2) == 0) {
    ++happened_["server's clock jumped"];
    farm_.ServersClock().Set(shift);
  } else {
    ++happened_["worker's clock jumped"];
    farm_.WorkersClock(static_cast<int>(Below(ChaosFarm::kWorkers))).Set(shift);
  }
}

void Trouble::ChangeWeather() {
  using Weather = TcpProxy::Weather;
  TcpProxy& network = Below(3) == 0 ? farm_.ClientsNetwork() : farm_.WorkersNetwork();
  if (network.weather() != Weather::kClear) {
    return;
  }
  switch (Below(3)) {
    case 0:
      ++happened_["network cut"];
      network.Set(Weather::kCut);
      break;
    case 1:
      ++happened_["network slow"];
      network.Set(Weather::kSlow);
      break;
    default:
      ++happened_["network stalled"];
      network.Set(Weather::kStalled);
      break;
  }
  // Sometimes for longer than a lease.
  After(Below(4) == 0 ? Between(5000, 8000) : Between(100, 2000),
        [&network] { network.Set(Weather::kClear); });
}

void Trouble::Step() {
  while (!later_.empty() && later_.begin()->first <= std::chrono::steady_clock::now()) {
    const std::function<void()> what = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    what();
  }
  if (Below(kQuiet) != 0) {
    return;
  }
  constexpr std::array kKinds = {
      &Trouble::KillServer,    &Trouble::FreezeServer, &Trouble::KillWorker, &Trouble::FreezeWorker,
      &Trouble::FreezeWorker,  &Trouble::HitJob,       &Trouble::HitJob,     &Trouble::JumpClock,
      &Trouble::ChangeWeather, &Trouble::ChangeWeather};
  (this->*kKinds[static_cast<std::size_t>(Below(kKinds.size()))])();
}

void Trouble::End() {
  later_.clear();
  farm_.Heal();
}

}  // namespace tyllm::testing
