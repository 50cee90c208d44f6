// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/child_process.h"
#include "common/format/json.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::testing {

/// How a program ended and what it wrote.
struct Ran {
  int code = -1;
  std::string out;
  std::string err;

  /// `out` as JSON; a test failure when it is none.
  format::Json Json() const;
};

/// Runs a program of this build to its end; a failure of the test when that takes minutes.
Ran RunProgram(const std::string& name, const std::vector<std::string>& arguments);

/// A server on a free port with its data, and workers, as real processes of this build.
class Farm {
 public:
  Farm();
  ~Farm();

  /// More of the command lines of those that are started after.
  std::vector<std::string> server_options;
  std::vector<std::string> worker_options;
  std::vector<std::string> server_environment;  ///< "NAME=value"

  /// Starts the server; after a stop or kill it gets the same data and the same port.
  void StartServer(bool with_worker = false);
  void KillServer();
  /// SIGTERM; gives the exit code.
  int StopServer();
  /// Each name has a work folder of its own, as on a machine of its own.
  void StartWorker(const std::string& name = "w1");
  void KillWorker();
  int StopWorker();
  /// Another worker beside that one, until the end, with these options besides.
  void StartWorkerBeside(const std::string& name, const std::vector<std::string>& options);

  /// Processes that the worker runs now.
  std::vector<pid_t> Jobs() const;

  /// tyllm-client with --server.
  Ran Client(const std::vector<std::string>& arguments) const;
  /// The same, left running; standard output and errors go to `<name>.out` and `<name>.err` in
  /// folder().
  ChildProcess StartClient(const std::string& name,
                           const std::vector<std::string>& arguments) const;
  /// What a client that was started so has written. Waits until it is something that holds `text`;
  /// a failure of the test when that takes minutes.
  std::string WaitForText(const std::string& file, const std::string& text) const;
  /// The job as `tyllm-client status --json` shows it.
  format::Json Status(const std::string& job) const;
  /// Waits until `ready(status)`; a failure of the test when that takes minutes.
  format::Json WaitFor(const std::string& job,
                       const std::function<bool(const format::Json&)>& ready) const;
  /// /metrics as text.
  std::string Metrics() const;

  /// What the server, and a worker of its own, have written to standard error.
  std::string ServerLog() const { return Log("server.err"); }

  /// The answer of /healthz, with its status line.
  std::string Health() const;

  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  std::string Log(const std::string& name) const;
  std::optional<ChildProcess> SpawnWorker(const std::string& name,
                                          const std::vector<std::string>& options) const;

  TemporaryDirectory folder_;
  std::string grpc_ = "127.0.0.1:0";
  std::string http_ = "127.0.0.1:0";
  int starts_ = 0;
  std::optional<ChildProcess> server_;
  std::optional<ChildProcess> worker_;
  std::vector<std::optional<ChildProcess>> beside_;
};

/// The small trained model of the repository.
std::string DemoModel();
/// The task of a job's status with this label.
format::Json TaskOf(const format::Json& status, const std::string& label);
bool IsRunning(const format::Json& status, const std::string& label);
/// Options that make a pipeline over the demo model short.
std::vector<std::string> QuickPipeline();

}  // namespace tyllm::testing
