// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/child_process.h"
#include "tests/chaos/clock_shift.h"
#include "tests/chaos/tcp_proxy.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::testing {

/// A server and workers of this build whose jobs a shell script plays, with everything that can
/// happen to them: processes die, stand still and go on, clocks jump, the network breaks. One
/// thread.
class ChaosFarm {
 public:
  static constexpr int kWorkers = 3;
  static constexpr int kSlots = 2;         ///< of each worker
  static constexpr int kServersSlots = 1;  ///< of the server's own worker, which dies with it

  ChaosFarm();
  ~ChaosFarm();
  ChaosFarm(const ChaosFarm&) = delete;
  ChaosFarm& operator=(const ChaosFarm&) = delete;

  // The server keeps its port and its data.
  void StartServer();
  void KillServer();

  bool ServerRuns() const { return server_.has_value(); }

  /// SIGTERM; a failure of the test unless it ends with exit code 0.
  void StopServer();
  /// Of the data that the stopped server left: `tyllm-server fsck` finds nothing.
  void CheckData();

  void StartWorker(int worker);
  void KillWorker(int worker);

  bool WorkerRuns(int worker) const { return Slot(worker).process.has_value(); }

  // SIGSTOP and SIGCONT; the jobs of a stopped worker go on.
  void Freeze(int worker);
  void Thaw(int worker);

  bool IsFrozen(int worker) const { return Slot(worker).frozen; }

  void FreezeServer();
  void ThawServer();

  bool ServerIsFrozen() const { return server_frozen_; }

  /// Processes of jobs that a worker runs now.
  std::vector<pid_t> Jobs(int worker) const;

  /// Of the server, or of a worker.
  ClockShift& ServersClock() { return server_clock_; }

  ClockShift& WorkersClock(int worker) { return Slot(worker).clock; }

  /// Between workers and the server.
  TcpProxy& WorkersNetwork() { return *worker_network_; }

  /// Between clients and the server.
  TcpProxy& ClientsNetwork() { return *client_network_; }

  /// Lets jobs go on that wait at the gate.
  void OpenGate();

  /// Everything runs, nothing is frozen, the network is clear; clocks stay as they are. The server
  /// is killed once more and comes back with leases that also a very busy machine keeps.
  void Heal();

  std::string server_address() const { return "127.0.0.1:" + std::to_string(port_); }

  std::filesystem::path data() const { return folder_ / "data"; }

  static std::string NameOf(int worker) { return "w" + std::to_string(worker); }

  std::string Log(const std::string& name) const;

 private:
  struct Worker {
    explicit Worker(std::filesystem::path clock_file) : clock(std::move(clock_file)) {}

    std::optional<ChildProcess> process;
    ClockShift clock;
    bool frozen = false;
  };

  Worker& Slot(int worker) { return workers_[static_cast<std::size_t>(worker)]; }

  const Worker& Slot(int worker) const { return workers_[static_cast<std::size_t>(worker)]; }

  TemporaryDirectory folder_;
  const std::uint16_t port_;
  const std::filesystem::path toolchain_;
  ClockShift server_clock_;
  std::optional<ChildProcess> server_;
  bool server_frozen_ = false;
  bool patient_ = false;
  std::vector<Worker> workers_;
  std::optional<TcpProxy> worker_network_;
  std::optional<TcpProxy> client_network_;
};

}  // namespace tyllm::testing
