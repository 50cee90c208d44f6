// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/farm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "tests/support/paths.h"

namespace tyllm::testing {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Only what hangs takes so long, also on a machine with much else to do.
constexpr seconds kProgramLimit{600};

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Fd OpenForWriting(const fs::path& path) {
  return Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
}

std::string Program(const std::string& name) {
  return std::string(testing::kProgramFolder) + "/" + name;
}

// "key=value" of a line such as "listening grpc=127.0.0.1:1 http=127.0.0.1:2".
std::string Value(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(" " + key + "=");
  if (at == std::string::npos) {
    return "";
  }
  const std::size_t start = at + key.size() + 2;
  return line.substr(start, line.find_first_of(" \n", start) - start);
}

std::string HttpGet(const std::string& address, const std::string& path) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    return "";
  }
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), 0) < 0) {
    return "";
  }
  std::string answer;
  std::string piece(4096, '\0');
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), piece.data(), piece.size(), 0)) > 0) {
    answer.append(piece, 0, static_cast<std::size_t>(got));
  }
  return answer;
}

void Kill(std::optional<ChildProcess>& process) {
  if (process) {
    ::kill(process->pid(), SIGKILL);
    EXPECT_TRUE(process->Wait(seconds(20)).ok());
    process.reset();
  }
}

int Stop(std::optional<ChildProcess>& process) {
  if (!process) {
    return -1;
  }
  ::kill(process->pid(), SIGTERM);
  const auto exit = process->Wait(seconds(60));
  EXPECT_TRUE(exit.ok()) << exit.status().ToString();
  process.reset();
  return exit.ok() ? exit->code : -1;
}

}  // namespace

format::Json Ran::Json() const {
  auto json = format::ParseJson(out, "output");
  EXPECT_TRUE(json.ok()) << out << err;
  return json.ok() ? *json : format::Json();
}

Ran RunProgram(const std::string& name, const std::vector<std::string>& arguments) {
  const TemporaryDirectory folder;
  const Fd out = OpenForWriting(folder / "out");
  const Fd err = OpenForWriting(folder / "err");
  CommandLine command{.argv = {Program(name)}};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.descriptors = {{out.get(), 1}, {err.get(), 2}};
  auto child = ChildProcess::Spawn(command);
  EXPECT_TRUE(child.ok()) << child.status().ToString();
  const auto exit = child->Wait(kProgramLimit);
  EXPECT_TRUE(exit.ok()) << name << ": " << exit.status().ToString();
  return {exit.ok() ? (exit->signal != 0 ? 128 + exit->signal : exit->code) : -1,
          ReadAll(folder / "out"), ReadAll(folder / "err")};
}

Farm::Farm() = default;

Farm::~Farm() {
  Kill(worker_);
  for (std::optional<ChildProcess>& worker : beside_) {
    Kill(worker);
  }
  if (server_) {
    Stop(server_);  // a worker that it started ends with it
  }
  if (::testing::Test::HasFailure()) {
    std::cerr << "server's log:\n"
              << Log("server.err") << "\nworker's log:\n"
              << Log("worker.err") << "\n";
  }
}

std::string Farm::Log(const std::string& name) const {
  return ReadAll(folder_ / name);
}

void Farm::StartServer(bool with_worker) {
  const fs::path listening = folder_ / ("listening" + std::to_string(++starts_));
  const Fd out = OpenForWriting(listening);
  const Fd err = OpenForWriting(folder_ / "server.err");
  CommandLine command{.argv = {Program("tyllm-server"), "--data", (folder_ / "data").string(),
                               "--listen", grpc_, "--http", http_},
                      .environment = server_environment};
  command.argv.insert(command.argv.end(), server_options.begin(), server_options.end());
  if (with_worker) {
    command.argv.emplace_back("--with-worker");
  }
  command.descriptors = {{out.get(), 1}, {err.get(), 2}};
  auto child = ChildProcess::Spawn(command);
  ASSERT_TRUE(child.ok()) << child.status().ToString();
  server_ = *std::move(child);
  for (int i = 0; i < 600; ++i) {
    const std::string line = ReadAll(listening);
    if (line.starts_with("listening") && line.ends_with("\n")) {
      grpc_ = Value(line, "grpc");
      http_ = Value(line, "http");
      return;
    }
    ASSERT_FALSE(server_->Poll()->has_value()) << "the server ended:\n" << Log("server.err");
    std::this_thread::sleep_for(milliseconds(50));  // polls a file; bounded by the loop
  }
  FAIL() << "the server does not listen:\n" << Log("server.err");
}

void Farm::KillServer() {
  Kill(server_);
}

int Farm::StopServer() {
  return Stop(server_);
}

void Farm::StartWorker(const std::string& name) {
  worker_ = SpawnWorker(name, worker_options);
}

void Farm::StartWorkerBeside(const std::string& name, const std::vector<std::string>& options) {
  beside_.push_back(SpawnWorker(name, options));
}

std::optional<ChildProcess> Farm::SpawnWorker(const std::string& name,
                                              const std::vector<std::string>& options) const {
  const Fd err = OpenForWriting(folder_ / "worker.err");
  CommandLine command{.argv = {Program("tyllm-worker"), "--server", grpc_, "--work",
                               (folder_ / ("work-" + name)).string(), "--name", name}};
  command.argv.insert(command.argv.end(), options.begin(), options.end());
  command.descriptors = {{err.get(), 2}};
  auto child = ChildProcess::Spawn(command);
  EXPECT_TRUE(child.ok()) << child.status().ToString();
  return child.ok() ? std::optional(*std::move(child)) : std::nullopt;
}

void Farm::KillWorker() {
  Kill(worker_);
}

int Farm::StopWorker() {
  return Stop(worker_);
}

std::vector<pid_t> Farm::Jobs() const {
  std::vector<pid_t> jobs;
  const std::string pid = std::to_string(worker_->pid());
  std::istringstream children(ReadAll("/proc/" + pid + "/task/" + pid + "/children"));
  for (pid_t child = 0; children >> child;) {
    jobs.push_back(child);
  }
  // Jobs are started by threads other than the first.
  std::error_code error;
  for (const auto& thread : fs::directory_iterator("/proc/" + pid + "/task", error)) {
    if (thread.path().filename() != pid) {
      std::istringstream more(ReadAll(thread.path() / "children"));
      for (pid_t child = 0; more >> child;) {
        jobs.push_back(child);
      }
    }
  }
  return jobs;
}

Ran Farm::Client(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {"--server", grpc_};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunProgram("tyllm-client", all);
}

ChildProcess Farm::StartClient(const std::string& name,
                               const std::vector<std::string>& arguments) const {
  const Fd out = OpenForWriting(folder_ / (name + ".out"));
  const Fd err = OpenForWriting(folder_ / (name + ".err"));
  CommandLine command{.argv = {Program("tyllm-client"), "--server", grpc_}};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.descriptors = {{out.get(), 1}, {err.get(), 2}};
  auto child = ChildProcess::Spawn(command);
  TYLLM_CHECK(child.ok());
  return *std::move(child);
}

std::string Farm::WaitForText(const std::string& file, const std::string& text) const {
  std::string found;
  const auto deadline = std::chrono::steady_clock::now() + kProgramLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    found = Log(file);
    if (found.find(text) != std::string::npos) {
      return found;
    }
    std::this_thread::sleep_for(milliseconds(20));  // reads a file; bounded by the deadline
  }
  ADD_FAILURE() << file << " does not come to hold '" << text << "' but:\n" << found;
  return found;
}

format::Json Farm::Status(const std::string& job) const {
  const Ran ran = Client({"status", job, "--json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.Json();
}

format::Json Farm::WaitFor(const std::string& job,
                           const std::function<bool(const format::Json&)>& ready) const {
  format::Json status;
  const auto deadline = std::chrono::steady_clock::now() + kProgramLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    status = Status(job);
    if (ready(status)) {
      return status;
    }
    std::this_thread::sleep_for(milliseconds(50));  // asks a process; bounded by the deadline
  }
  ADD_FAILURE() << "gave up waiting; the job is\n" << format::PrettyJson(status);
  return status;
}

std::string Farm::Metrics() const {
  return HttpGet(http_, "/metrics");
}

std::string Farm::Health() const {
  return HttpGet(http_, "/healthz");
}

std::string DemoModel() {
  return std::string(testing::kSourceFolder) + "/examples/models/demo-qwen3-4m";
}

format::Json TaskOf(const format::Json& status, const std::string& label) {
  for (const format::Json& task : status["tasks"]) {
    if (task["label"] == label) {
      return task;
    }
  }
  return {};
}

bool IsRunning(const format::Json& status, const std::string& label) {
  const format::Json task = TaskOf(status, label);
  return task.is_object() && task["state"] == "running";
}

std::vector<std::string> QuickPipeline() {
  return {"submit",     "pipeline", "--model",       DemoModel(), "--samples", "8",
          "--seq-len",  "128",      "--max-windows", "4",         "--dies",    "2",
          "--seq-lens", "1,8",      "--max-kv",      "128"};
}

}  // namespace tyllm::testing
