// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/farm.h"
#include "tests/support/paths.h"

// One machine without a compiler beside a busy one that is well.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// A toolchain that tells its version and fails every task as a machine that lacks something does.
std::string BrokenToolchain(const fs::path& folder) {
  const fs::path script = folder / "broken-tyllm";
  std::ofstream(script) << "#!/bin/sh\n"
                           "if [ \"$1\" = task ]; then\n"
                           "  echo 'error: no compiler here' >&2\n"
                           "  exit 17\n"
                           "fi\n"
                           "exec '"
                        << kProgramFolder << "/tyllm' \"$@\"\n";
  fs::permissions(script, fs::perms::owner_all);
  return script.string();
}

format::Json WorkerNamed(const Farm& farm, const std::string& name) {
  for (const format::Json& worker : farm.Client({"workers", "--json"}).Json()) {
    if (worker["name"] == name) {
      return worker;
    }
  }
  return {};
}

bool IsBenched(const Farm& farm, const std::string& name) {
  const format::Json worker = WorkerNamed(farm, name);
  return worker.contains("bench") && !worker["bench"].is_null();
}

template <typename Condition>
bool Becomes(const Condition& condition) {
  const auto deadline = steady_clock::now() + seconds(180);
  while (steady_clock::now() < deadline) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // asks processes; bounded
  }
  return false;
}

TEST(BrokenWorker, FailsNoJobWhileAnotherIsThereAndIsShown) {
  Farm farm;
  farm.StartServer();
  farm.worker_options = {"--label", "long=y"};
  farm.StartWorker("good");
  const std::string busy =
      farm.Client({"submit", "quantize", "--model", DemoModel(), "--samples", "256", "--seq-len",
                   "512", "--require", "label.long=y", "--json"})
          .Json()["id"];
  farm.WaitFor(busy, [](const format::Json& status) { return IsRunning(status, "quantize"); });
  farm.StartWorkerBeside("bad", {"--toolchain", BrokenToolchain(farm.folder())});
  std::vector<std::string> jobs;
  for (int i = 1; i <= 8; ++i) {
    jobs.push_back(farm.Client({"submit", "evaluate", "--model", DemoModel(), "--max-windows",
                                std::to_string(i), "--no-cache", "--json"})
                       .Json()["id"]);
  }
  EXPECT_TRUE(Becomes([&] { return IsBenched(farm, "bad"); })) << farm.Client({"workers"}).out;
  EXPECT_EQ(WorkerNamed(farm, "bad")["bench"]["reason"], "WORKER_UNFIT");
  EXPECT_NE(farm.Metrics().find("tyllm_workers{state=\"benched\"} 1"), std::string::npos);
  EXPECT_NE(farm.Client({"workers"}).out.find("benched (3 tasks in a row"), std::string::npos);
  for (const std::string& job : jobs) {
    const format::Json status = farm.WaitFor(job, [](const format::Json& one) {
      return one["state"] == "succeeded" || one["state"] == "failed";
    });
    EXPECT_EQ(status["state"], "succeeded") << job << farm.Client({"explain", job}).out;
    EXPECT_LE(TaskOf(status, "evaluate")["attempt"], 2) << "once on the bad one at most";
  }
}

}  // namespace
}  // namespace tyllm::testing
