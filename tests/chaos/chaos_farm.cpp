// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/chaos_farm.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "tests/chaos/chaos_toolchain.h"
#include "tests/support/paths.h"

namespace tyllm::testing {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kEnd{60};

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Program(const std::string& name) {
  return std::string(kProgramFolder) + "/" + name;
}

// A port that nobody uses now, and that the system gives to no connection that goes out: while the
// server is down the proxy would else connect to itself some day.
std::uint16_t FreePort() {
  std::mt19937 random(std::random_device{}());
  boost::asio::io_context context;
  for (int tries = 0; tries < 200; ++tries) {
    const auto port = static_cast<std::uint16_t>(10'000 + random() % 20'000);
    boost::asio::ip::tcp::acceptor acceptor(context, boost::asio::ip::tcp::v4());
    boost::system::error_code error;
    acceptor.bind({boost::asio::ip::address_v4::loopback(), port}, error);
    if (!error) {
      return port;
    }
  }
  ADD_FAILURE() << "no free port";
  return 0;
}

std::optional<ChildProcess> Spawn(std::vector<std::string> argv, const fs::path& log,
                                  const ClockShift& clock,
                                  const std::vector<std::string>& environment = {}) {
  const Fd err(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  CommandLine command{.argv = std::move(argv), .environment = clock.environment()};
  command.environment.insert(command.environment.end(), environment.begin(), environment.end());
  command.descriptors = {{err.get(), 2}};
  auto child = ChildProcess::Spawn(command);
  EXPECT_TRUE(child.ok()) << child.status().ToString();
  return child.ok() ? std::optional(*std::move(child)) : std::nullopt;
}

void Kill(std::optional<ChildProcess>& process) {
  ::kill(process->pid(), SIGKILL);
  EXPECT_TRUE(process->Wait(kEnd).ok());
  process.reset();
}

}  // namespace

ChaosFarm::ChaosFarm()
    : port_(FreePort()),
      toolchain_(WriteChaosToolchain(folder_.path())),
      server_clock_(folder_ / "server.clock") {
  for (int i = 0; i < kWorkers; ++i) {
    workers_.emplace_back(folder_ / (NameOf(i) + ".clock"));
  }
  worker_network_.emplace(port_);
  client_network_.emplace(port_);
}

ChaosFarm::~ChaosFarm() {
  for (Worker& worker : workers_) {
    if (worker.process) {
      Kill(worker.process);
    }
  }
  if (server_) {
    Kill(server_);
  }
  if (::testing::Test::HasFailure()) {
    // What the processes said stays for who looks into it.
    const fs::path kept =
        fs::temp_directory_path() / ("chaos_failure_" + std::to_string(::getpid()));
    std::error_code error;
    fs::copy(folder_.path(), kept, fs::copy_options::recursive, error);
    std::cerr << "logs and data of the failed run are in " << kept << "\n";
  }
}

std::string ChaosFarm::Log(const std::string& name) const {
  return ReadAll(folder_ / name);
}

void ChaosFarm::StartServer() {
  std::vector<std::string> command = {Program("tyllm-server"),
                                      "--data",
                                      data().string(),
                                      "--listen",
                                      server_address(),
                                      "--http",
                                      "127.0.0.1:0",
                                      "--attempt-longest-backoff-seconds",
                                      "1",
                                      "--attempt-failures",
                                      "100",
                                      "--attempt-losses",
                                      "100",
                                      "--placement-wait-seconds",
                                      "0",
                                      "--with-worker",
                                      "--worker-slots",
                                      std::to_string(kServersSlots)};
  const std::vector<std::string> clocks =
      patient_
          ? std::vector<std::string>{"--lease-seconds", "60"}
          : std::vector<std::string>{"--lease-seconds",         "4",  "--lease-grace-seconds", "1",
                                     "--attempt-stall-seconds", "12", "--upload-idle-seconds", "3"};
  command.insert(command.end(), clocks.begin(), clocks.end());
  server_ = Spawn(std::move(command), folder_ / "server.err", server_clock_,
                  {"TYLLM_WORKER_TOOLCHAIN=" + toolchain_.string(),
                   "TYLLM_WORKER_STOP_GRACE_SECONDS=1", "TYLLM_WORKER_CHECKPOINT_SECONDS=1"});
  server_frozen_ = false;
  for (auto waited = milliseconds(0); server_ && waited < kEnd; waited += milliseconds(20)) {
    const std::string json = ReadAll(data() / "server.json");
    if (json.find("\"pid\": " + std::to_string(server_->pid()) + ",") != std::string::npos) {
      return;
    }
    if (const auto ended = server_->Poll(); !ended.ok() || ended->has_value()) {
      break;
    }
    std::this_thread::sleep_for(milliseconds(20));  // asks a file; bounded by the loop
  }
  FAIL() << "the server does not start:\n" << Log("server.err");
}

void ChaosFarm::KillServer() {
  Kill(server_);
  server_frozen_ = false;
}

void ChaosFarm::StopServer() {
  ::kill(server_->pid(), SIGTERM);
  const auto exit = server_->Wait(kEnd);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_TRUE(exit->ok()) << exit->ToString();
  server_.reset();
}

void ChaosFarm::CheckData() {
  const fs::path said = folder_ / "fsck.err";
  auto fsck =
      Spawn({Program("tyllm-server"), "fsck", "--data", data().string()}, said, server_clock_);
  ASSERT_TRUE(fsck);
  const auto exit = fsck->Wait(kEnd);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_TRUE(exit->ok()) << exit->ToString() << "\n" << ReadAll(said);
}

void ChaosFarm::StartWorker(int worker) {
  const std::string name = NameOf(worker);
  Slot(worker).process = Spawn(
      {Program("tyllm-worker"), "--server", worker_network_->address(), "--work",
       (folder_ / name).string(), "--name", name, "--toolchain", toolchain_.string(), "--slots",
       std::to_string(kSlots), "--stop-grace-seconds", "1", "--checkpoint-seconds", "1"},
      folder_ / (name + ".err"), Slot(worker).clock);
  Slot(worker).frozen = false;
}

void ChaosFarm::KillWorker(int worker) {
  Kill(Slot(worker).process);
  Slot(worker).frozen = false;
}

void ChaosFarm::Freeze(int worker) {
  ::kill(Slot(worker).process->pid(), SIGSTOP);
  Slot(worker).frozen = true;
}

void ChaosFarm::Thaw(int worker) {
  ::kill(Slot(worker).process->pid(), SIGCONT);
  Slot(worker).frozen = false;
}

void ChaosFarm::FreezeServer() {
  ::kill(server_->pid(), SIGSTOP);
  server_frozen_ = true;
}

void ChaosFarm::ThawServer() {
  ::kill(server_->pid(), SIGCONT);
  server_frozen_ = false;
}

std::vector<pid_t> ChaosFarm::Jobs(int worker) const {
  std::vector<pid_t> jobs;
  std::error_code error;
  const fs::path threads = "/proc/" + std::to_string(Slot(worker).process->pid()) + "/task";
  for (const auto& thread : fs::directory_iterator(threads, error)) {
    std::istringstream children(ReadAll(thread.path() / "children"));
    for (pid_t child = 0; children >> child;) {
      jobs.push_back(child);
    }
  }
  return jobs;
}

void ChaosFarm::OpenGate() {
  std::ofstream(toolchain_.parent_path() / "gate") << "open";
}

void ChaosFarm::Heal() {
  worker_network_->Set(TcpProxy::Weather::kClear);
  client_network_->Set(TcpProxy::Weather::kClear);
  patient_ = true;
  if (server_) {
    KillServer();
  }
  StartServer();
  for (int i = 0; i < kWorkers; ++i) {
    if (!WorkerRuns(i)) {
      StartWorker(i);
    } else if (IsFrozen(i)) {
      Thaw(i);
    }
    for (const pid_t job : Jobs(i)) {
      ::kill(-job, SIGCONT);
    }
  }
}

}  // namespace tyllm::testing
