// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <csignal>

#include "tests/e2e/farm.h"

// Work that was finished before a worker was lost is not done again by the next one.
namespace tyllm::testing {
namespace {

std::vector<std::string> LongQuantization() {
  return {"submit", "quantize",  "--model", DemoModel(),  "--samples",
          "96",     "--seq-len", "256",     "--no-cache", "--json"};
}

std::vector<std::string> LongCompilation() {
  return {"submit",     "compile",    "--model",  DemoModel(), "--dies",     "1",
          "--seq-lens", "1,2,4,8,12", "--max-kv", "128",       "--no-cache", "--json"};
}

std::string Submit(const Farm& farm, const std::vector<std::string>& job) {
  const Ran ran = farm.Client(job);
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.Json()["id"];
}

bool Succeeded(const format::Json& status) {
  return status["state"] == "succeeded";
}

/// The task's process has finished some layer or program.
auto HasDoneSome(const std::string& label, const std::string& stage) {
  return [=](const format::Json& status) {
    const format::Json task = TaskOf(status, label);
    return task["state"] == "running" && task.contains("progress") &&
           task["progress"]["stage"] == stage && task["progress"]["done"] >= 1;
  };
}

auto HasCheckpointOf(const std::string& label, const std::string& stage) {
  return [=](const format::Json& status) {
    const format::Json task = TaskOf(status, label);
    return task.contains("checkpoint") && task["checkpoint"].is_object() &&
           task["checkpoint"]["stage"] == stage && task["checkpoint"]["done"] >= 1;
  };
}

/// Kills the worker when its job has done some of `stage` and the server has that, and gives the
/// task to another. The job stands still meanwhile, so that it cannot be finished before.
void LoseTheWorker(Farm& farm, const std::string& job, const std::string& label,
                   const std::string& stage) {
  farm.WaitFor(job, HasDoneSome(label, stage));
  const std::vector<pid_t> processes = farm.Jobs();
  ASSERT_EQ(processes.size(), 1U);
  ::kill(processes[0], SIGSTOP);
  farm.WaitFor(job, HasCheckpointOf(label, stage));
  farm.KillWorker();
  ::kill(processes[0], SIGKILL);
  farm.StartWorker("w2");
}

void ExpectResumed(const Farm& farm, const format::Json& task) {
  EXPECT_EQ(task["worker"], "w2");
  EXPECT_EQ(task["attempt"], 2);
  const std::string log = farm.Client({"logs", task["id"]}).out;
  EXPECT_NE(log.find("finished by an earlier run"), std::string::npos) << log;
  EXPECT_EQ(log.find(" 0 of them finished by an earlier run"), std::string::npos) << log;
}

TEST(Resume, AnotherWorkerGoesOnAfterTheLastLayerAndMakesTheSameModel) {
  Farm farm;
  farm.server_options = {"--lease-seconds", "5", "--lease-grace-seconds", "1"};
  farm.worker_options = {"--checkpoint-seconds", "1"};
  farm.StartServer();
  farm.StartWorker("w1");
  const std::string job = Submit(farm, LongQuantization());
  LoseTheWorker(farm, job, "quantize", "quantize");
  const format::Json resumed = farm.WaitFor(job, Succeeded);
  ExpectResumed(farm, TaskOf(resumed, "quantize"));

  const format::Json whole = farm.WaitFor(Submit(farm, LongQuantization()), Succeeded);
  EXPECT_EQ(TaskOf(whole, "quantize")["attempt"], 1);
  EXPECT_EQ(whole["outputs"], resumed["outputs"]) << "the model depends on where it was made";
}

TEST(Resume, AnotherWorkerCompilesOnlyTheProgramsThatWereNotFinished) {
  Farm farm;
  farm.server_options = {"--lease-seconds", "5", "--lease-grace-seconds", "1"};
  farm.worker_options = {"--checkpoint-seconds", "1"};
  farm.StartServer();
  farm.StartWorker("w1");
  const std::string job = Submit(farm, LongCompilation());
  LoseTheWorker(farm, job, "compile.die0", "compile");
  const format::Json resumed = farm.WaitFor(job, Succeeded);
  ExpectResumed(farm, TaskOf(resumed, "compile.die0"));
}

}  // namespace
}  // namespace tyllm::testing
