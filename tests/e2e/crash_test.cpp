// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/e2e/farm.h"

// kill -9 of every process of the farm in the middle of a job: nothing that was acknowledged is
// lost.
namespace tyllm::testing {
namespace {

/// A job whose quantization is long enough to be interrupted.
/// `times` as long as it has to be on a machine that is not very fast.
std::vector<std::string> LongQuantization(int times = 1) {
  return {"submit",    "quantize", "--model", DemoModel(), "--samples", std::to_string(64 * times),
          "--seq-len", "256",      "--json"};
}

std::string Submit(const Farm& farm, const std::vector<std::string>& request) {
  const Ran ran = farm.Client(request);
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.Json()["id"];
}

bool Succeeded(const format::Json& status) {
  return status["state"] == "succeeded";
}

bool HasCheckpoint(const format::Json& task) {
  return task.contains("checkpoint") && task["checkpoint"].is_object() &&
         task["checkpoint"]["done"] >= 2;
}

/// A job that runs, and of which the server has unfinished work.
std::string SubmitAndWaitForACheckpoint(const Farm& farm) {
  constexpr int kMostTimes = 16;
  for (int times = 1; times <= kMostTimes; times *= 2) {
    const std::string job = Submit(farm, LongQuantization(times));
    const format::Json status = farm.WaitFor(job, [](const format::Json& now) {
      return Succeeded(now) || HasCheckpoint(TaskOf(now, "quantize"));
    });
    if (TaskOf(status, "quantize")["state"] == "running") {
      return job;
    }
    farm.WaitFor(job, Succeeded);  // before anybody could look: a longer one
  }
  ADD_FAILURE() << "no job of up to " << kMostTimes << " times the length was caught at work";
  return {};
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

TEST(Crash, AServerThatIsKilledWithItsOwnWorkerLosesNothingOfWhatThatDid) {
  Farm farm;
  farm.server_environment = {"TYLLM_WORKER_CHECKPOINT_SECONDS=1"};
  farm.StartServer(true);
  const std::string job = SubmitAndWaitForACheckpoint(farm);
  ASSERT_FALSE(job.empty());
  farm.KillServer();
  farm.StartServer(true);
  const auto started = std::chrono::steady_clock::now();
  farm.WaitFor(
      job, [](const format::Json& status) { return TaskOf(status, "quantize")["attempt"] == 2; });
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20))
      << "the lease was waited for";
  farm.WaitFor(job, Succeeded);
  const format::Json explained = farm.Client({"explain", job, "--json"}).Json();
  const format::Json& attempt = explained["tasks"][0]["attempts"][0];
  EXPECT_EQ(attempt["ending"], "returned") << attempt;
  EXPECT_EQ(attempt["counted"], false) << attempt;
  const std::string log = farm.Client({"logs", explained["tasks"][0]["task"]["id"]}).out;
  EXPECT_NE(log.find("finished by an earlier run"), std::string::npos) << log;
  EXPECT_EQ(log.find(" 0 of them finished by an earlier run"), std::string::npos) << log;
  EXPECT_EQ(farm.ServerLog().find("the worker ended"), std::string::npos)
      << "the new worker did not wait for the old one's folder";
}

TEST(Crash, AWorkerIsBackSoonAfterItsServerIs) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const auto is_online = [&farm] {
    return farm.Metrics().find("tyllm_workers{state=\"online\"} 1") != std::string::npos;
  };
  const auto wait_for_it = [&](std::chrono::seconds limit) {
    const auto began = std::chrono::steady_clock::now();
    while (!is_online() && std::chrono::steady_clock::now() - began < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // asks a process
    }
    return is_online();
  };
  ASSERT_TRUE(wait_for_it(std::chrono::seconds(60)));
  farm.KillServer();
  std::this_thread::sleep_for(std::chrono::seconds(12));  // looks for it get rarer meanwhile
  farm.StartServer();
  EXPECT_TRUE(wait_for_it(std::chrono::seconds(5)));
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
