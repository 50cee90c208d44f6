// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "tests/e2e/farm.h"

// Work that was finished before a worker was lost is not done again by the next one.
namespace tyllm::testing {
namespace {

/// `times` as long as it has to be on a machine that is not very fast.
std::vector<std::string> Quantization(int times) {
  return {
      "submit",    "quantize", "--model",    DemoModel(), "--samples", std::to_string(96 * times),
      "--seq-len", "256",      "--no-cache", "--json"};
}

std::vector<std::string> Compilation(int times) {
  std::string lengths = "1,2,4,8,12";
  for (int more = 1; more < times; ++more) {
    lengths += "," + std::to_string(12 + 4 * more);
  }
  return {"submit",     "compile", "--model",  DemoModel(), "--dies",     "1",
          "--seq-lens", lengths,   "--max-kv", "128",       "--no-cache", "--json"};
}

std::string Submit(const Farm& farm, const std::vector<std::string>& job) {
  const Ran ran = farm.Client(job);
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.Json()["id"];
}

bool Succeeded(const format::Json& status) {
  return status["state"] == "succeeded";
}

bool IsQueuedOrRuns(const format::Json& task) {
  return task["state"] == "queued" || task["state"] == "running";
}

/// Whether the server has unfinished work of the task in which at least one layer, or program, is
/// whole. Of layers the last one that is counted may not be written yet, and the one that is being
/// calibrated is counted with them when its texts are through.
bool HasFinishedPart(const format::Json& task) {
  if (!task.contains("checkpoint") || !task["checkpoint"].is_object()) {
    return false;
  }
  const std::string stage = task["checkpoint"]["stage"];
  const std::int64_t done = task["checkpoint"]["done"];
  return (stage == "calibrate" && done >= 3) || (stage == "quantize" && done >= 2) ||
         (stage == "compile" && done >= 1);
}

bool IsStopped(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.substr(name_end + 2, 1) == "T";
}

/// Stops the job's process for good, so that it can end no more, and tells its id; nothing when it
/// has ended before.
std::optional<pid_t> FreezeJob(const Farm& farm) {
  const std::vector<pid_t> processes = farm.Jobs();
  if (processes.empty() || ::kill(processes[0], SIGSTOP) != 0) {
    return std::nullopt;
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    if (IsStopped(processes[0])) {
      return processes[0];
    }
    const std::vector<pid_t> now = farm.Jobs();
    if (std::find(now.begin(), now.end(), processes[0]) == now.end()) {
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until the signal has come
  }
  ADD_FAILURE() << "process " << processes[0] << " does not stop";
  return std::nullopt;
}

/// Kills the worker w1 in the middle of the task, when the server has a part of it, and starts w2.
/// False, and w1 lives, when the task was done before that was seen.
bool LoseTheWorker(Farm& farm, const std::string& job, const std::string& label) {
  const format::Json status = farm.WaitFor(job, [&](const format::Json& now) {
    return HasFinishedPart(TaskOf(now, label)) || !IsQueuedOrRuns(TaskOf(now, label));
  });
  if (TaskOf(status, label)["state"] != "running") {
    return false;
  }
  const std::optional<pid_t> process = FreezeJob(farm);
  if (!process) {
    return false;
  }
  farm.KillWorker();
  ::kill(*process, SIGKILL);
  farm.StartWorker("w2");
  return true;
}

/// A job that lost its worker in the middle, and how long it was made for that.
std::pair<std::string, int> SubmitAndLose(Farm& farm, const std::string& label,
                                          std::vector<std::string> (*job_of)(int times)) {
  constexpr int kMostTimes = 16;
  for (int times = 1; times <= kMostTimes; times *= 2) {
    std::string job = Submit(farm, job_of(times));
    if (LoseTheWorker(farm, job, label)) {
      return {std::move(job), times};
    }
    farm.WaitFor(job, Succeeded);  // before anybody could look: a longer one
  }
  ADD_FAILURE() << "no job of up to " << kMostTimes << " times the length was caught at work";
  return {};
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
  const auto [job, times] = SubmitAndLose(farm, "quantize", Quantization);
  ASSERT_FALSE(job.empty());
  const format::Json resumed = farm.WaitFor(job, Succeeded);
  ExpectResumed(farm, TaskOf(resumed, "quantize"));

  const format::Json whole = farm.WaitFor(Submit(farm, Quantization(times)), Succeeded);
  EXPECT_EQ(TaskOf(whole, "quantize")["attempt"], 1);
  EXPECT_EQ(whole["outputs"], resumed["outputs"]) << "the model depends on where it was made";
}

TEST(Resume, AnotherWorkerCompilesOnlyTheProgramsThatWereNotFinished) {
  Farm farm;
  farm.server_options = {"--lease-seconds", "5", "--lease-grace-seconds", "1"};
  farm.worker_options = {"--checkpoint-seconds", "1"};
  farm.StartServer();
  farm.StartWorker("w1");
  const std::string job = SubmitAndLose(farm, "compile.die0", Compilation).first;
  ASSERT_FALSE(job.empty());
  const format::Json resumed = farm.WaitFor(job, Succeeded);
  ExpectResumed(farm, TaskOf(resumed, "compile.die0"));
}

}  // namespace
}  // namespace tyllm::testing
