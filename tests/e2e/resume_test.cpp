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

std::string Submit(const Farm& farm) {
  const Ran ran = farm.Client(LongQuantization());
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.Json()["id"];
}

bool Succeeded(const format::Json& status) {
  return status["state"] == "succeeded";
}

/// Its job process has finished a layer.
bool HasALayer(const format::Json& status) {
  const format::Json task = TaskOf(status, "quantize");
  return task["state"] == "running" && task.contains("progress") &&
         task["progress"]["stage"] == "quantize" && task["progress"]["done"] >= 1;
}

bool HasCheckpoint(const format::Json& status) {
  const format::Json task = TaskOf(status, "quantize");
  return task.contains("checkpoint") && task["checkpoint"].is_object() &&
         task["checkpoint"]["done"] >= 1;
}

TEST(Resume, AnotherWorkerGoesOnAfterTheLastLayerAndMakesTheSameModel) {
  Farm farm;
  farm.server_options = {"--lease-seconds", "5", "--lease-grace-seconds", "1"};
  farm.worker_options = {"--checkpoint-seconds", "1"};
  farm.StartServer();
  farm.StartWorker("w1");
  const std::string job = Submit(farm);
  farm.WaitFor(job, HasALayer);
  // It stands still, so that it cannot be finished before its worker is lost.
  const std::vector<pid_t> processes = farm.Jobs();
  ASSERT_EQ(processes.size(), 1U);
  ::kill(processes[0], SIGSTOP);
  farm.WaitFor(job, HasCheckpoint);
  farm.KillWorker();
  ::kill(processes[0], SIGKILL);
  farm.StartWorker("w2");
  const format::Json resumed = farm.WaitFor(job, Succeeded);
  const format::Json task = TaskOf(resumed, "quantize");
  EXPECT_EQ(task["worker"], "w2");
  EXPECT_EQ(task["attempt"], 2);
  const std::string log = farm.Client({"logs", task["id"]}).out;
  EXPECT_NE(log.find("finished by an earlier run"), std::string::npos) << log;

  const format::Json whole = farm.WaitFor(Submit(farm), Succeeded);
  EXPECT_EQ(TaskOf(whole, "quantize")["attempt"], 1);
  EXPECT_EQ(whole["outputs"], resumed["outputs"]) << "the model depends on where it was made";
}

}  // namespace
}  // namespace tyllm::testing
