// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <csignal>

#include "tests/e2e/farm.h"

// kill -9 of every process of the farm in the middle of a job: nothing that was acknowledged is
// lost.
namespace tyllm::testing {
namespace {

/// A job whose quantization is long enough to be interrupted.
std::vector<std::string> LongQuantization() {
  return {"submit", "quantize",  "--model", DemoModel(), "--samples",
          "64",     "--seq-len", "256",     "--json"};
}

std::string Submit(const Farm& farm, const std::vector<std::string>& request) {
  const Ran ran = farm.Client(request);
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.Json()["id"];
}

bool Succeeded(const format::Json& status) {
  return status["state"] == "succeeded";
}

bool QuantizeRuns(const format::Json& status) {
  return IsRunning(status, "quantize");
}

TEST(Crash, AKilledServerComesBackWithEveryAcknowledgedJobAndTheWorkGoesOn) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const std::string running = Submit(farm, LongQuantization());
  std::vector<std::string> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(Submit(farm, {"submit", "quantize", "--method", "rtn", "--group-size",
                                    std::to_string(8 << i), "--model", DemoModel(), "--json"}));
  }
  farm.WaitFor(running, QuantizeRuns);
  farm.KillServer();
  farm.StartServer();
  for (const std::string& job : waiting) {
    EXPECT_EQ(farm.Status(job)["id"], job);
  }
  const format::Json status = farm.WaitFor(running, Succeeded);
  EXPECT_EQ(TaskOf(status, "quantize")["attempt"], 1) << "the running attempt survives its server";
  for (const std::string& job : waiting) {
    farm.WaitFor(job, Succeeded);
  }
}

TEST(Crash, AKilledWorkersTaskIsDoneByTheNextOne) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const std::string job = Submit(farm, LongQuantization());
  farm.WaitFor(job, QuantizeRuns);
  farm.KillWorker();
  farm.StartWorker();
  const format::Json status = farm.WaitFor(job, Succeeded);
  EXPECT_EQ(TaskOf(status, "quantize")["attempt"], 2);
}

TEST(Crash, AKilledJobProcessIsTriedAgainAndTheWorkerLivesOn) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const std::string job = Submit(farm, LongQuantization());
  farm.WaitFor(job, [&](const format::Json& status) {
    return QuantizeRuns(status) && !farm.Jobs().empty();
  });
  const std::vector<pid_t> jobs = farm.Jobs();
  ASSERT_FALSE(jobs.empty());
  ::kill(jobs.front(), SIGKILL);
  const format::Json status = farm.WaitFor(job, Succeeded);
  EXPECT_EQ(TaskOf(status, "quantize")["attempt"], 2);
}

TEST(Crash, ACancelledTasksProcessIsGoneAndTheJobIsCancelled) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const std::string job = Submit(farm, LongQuantization());
  farm.WaitFor(job, [&](const format::Json& status) {
    return QuantizeRuns(status) && !farm.Jobs().empty();
  });
  EXPECT_EQ(farm.Client({"cancel", job}).code, 0);
  farm.WaitFor(job, [](const format::Json& status) { return status["state"] == "cancelled"; });
  farm.WaitFor(job, [&](const format::Json&) { return farm.Jobs().empty(); });
  EXPECT_EQ(farm.Client({"watch", job}).code, 6);
}

TEST(Crash, AStoppedWorkerHandsItsTaskBackAtOnce) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const std::string job = Submit(farm, LongQuantization());
  farm.WaitFor(job, QuantizeRuns);
  EXPECT_EQ(farm.StopWorker(), 0);
  const format::Json handed_back = farm.Status(job);
  EXPECT_EQ(TaskOf(handed_back, "quantize")["state"], "queued");
  farm.StartWorker("w2");
  farm.WaitFor(job, Succeeded);
}

}  // namespace
}  // namespace tyllm::testing
