// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/farm.h"
#include "tests/support/paths.h"

// Workers that have not the same tools: compilers, and the vendor's toolchain.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using std::chrono::steady_clock;

void WriteScript(const fs::path& script, const std::string& text) {
  std::ofstream(script) << "#!/bin/sh\n" << text;
  fs::permissions(script, fs::perms::owner_all);
}

/// The toolchain as it is on a machine that has no clang.
std::string ToolchainWithoutClang(const fs::path& folder) {
  const fs::path shadow = folder / "shadow";
  fs::create_directories(shadow);
  for (const char* const name : {"clang++-19", "clang++"}) {
    WriteScript(shadow / name, "exit 127\n");
  }
  const fs::path script = folder / "tyllm-without-clang";
  WriteScript(script, "PATH='" + shadow.string() + "':\"$PATH\" exec '" +
                          std::string(kProgramFolder) + "/tyllm' \"$@\"\n");
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

/// What the worker says its C++ compiler is; empty: nothing, or there is no such worker.
std::string CompilerOf(const Farm& farm, const std::string& name) {
  const format::Json worker = WorkerNamed(farm, name);
  const format::Json tools =
      worker.value("capabilities", format::Json::object()).value("tools", format::Json::object());
  return tools.value("sim-x86_64", "");
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

std::vector<std::string> Compilation(const std::string& max_kv) {
  return {"submit",     "compile", "--model",  DemoModel(), "--dies",  "2",
          "--seq-lens", "1",       "--max-kv", max_kv,      "--again", "--json"};
}

format::Json Finished(const Farm& farm, const std::vector<std::string>& submission) {
  const std::string job = farm.Client(submission).Json()["id"];
  format::Json status = farm.WaitFor(job, [](const format::Json& one) {
    return one["state"] == "succeeded" || one["state"] == "failed";
  });
  EXPECT_EQ(status["state"], "succeeded") << farm.Client({"explain", job}).out;
  return status;
}

TEST(Tools, AFarmOfTwoCompilersMakesEachJobWithOne) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker("w1");
  farm.StartWorkerBeside("w2", {"--toolchain", ToolchainWithoutClang(farm.folder())});
  ASSERT_TRUE(Becomes(
      [&] { return !WorkerNamed(farm, "w1").is_null() && !WorkerNamed(farm, "w2").is_null(); }));
  const std::string first = CompilerOf(farm, "w1");
  const std::string second = CompilerOf(farm, "w2");
  if (first.empty() || second.empty() || first == second) {
    GTEST_SKIP() << "needs clang and g++, found '" << first << "' and '" << second << "'";
  }
  const format::Json both = Finished(farm, Compilation("64"));
  const format::Json maker = TaskOf(both, "compile.die0")["worker"];
  EXPECT_EQ(TaskOf(both, "compile.die1")["worker"], maker) << "of one compiler";
  // A machine with the other compiler is left: nothing of the first's is mixed with its programs.
  farm.StopWorker();
  const format::Json rest = Finished(farm, Compilation("64"));
  EXPECT_EQ(TaskOf(rest, "compile.die0")["worker"], "w2");
  EXPECT_EQ(TaskOf(rest, "compile.die1")["worker"], "w2");
}

TEST(Tools, WhatNobodyHasTheToolForWaitsAndBenchesNobody) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker("w1");
  ASSERT_TRUE(Becomes([&] { return !WorkerNamed(farm, "w1").is_null(); }));
  std::vector<std::string> submission = Compilation("64");
  submission.insert(submission.end(), {"--target", "tytvm"});
  std::vector<std::string> validation = submission;
  validation.emplace_back("--validate");
  const Ran said = farm.Client(validation);
  EXPECT_NE(said.out.find("NO_WORKER"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("tool.tytvm"), std::string::npos) << said.out;
  std::vector<std::string> jobs;
  for (const char* const max_kv : {"64", "128", "256", "512"}) {
    submission[9] = max_kv;
    jobs.push_back(farm.Client(submission).Json()["id"]);
  }
  Finished(farm, {"submit", "evaluate", "--model", DemoModel(), "--max-windows", "1", "--json"});
  for (const std::string& job : jobs) {
    const format::Json task = TaskOf(farm.Status(job), "assemble");
    EXPECT_EQ(task["state"], "queued");
    EXPECT_EQ(task["attempt"], 0) << "nobody was given it";
    EXPECT_EQ(task["pending"]["reason"], "no_worker");
    EXPECT_NE(task["pending"].dump().find("tool.tytvm"), std::string::npos) << task;
  }
  const format::Json worker = WorkerNamed(farm, "w1");
  EXPECT_TRUE(!worker.contains("bench") || worker["bench"].is_null()) << worker;
}

TEST(Tools, ACpuThatEachWorkerWouldChooseIsRefused) {
  Farm farm;
  farm.StartServer();
  std::vector<std::string> submission = Compilation("64");
  submission.insert(submission.end(), {"--target-cpu", "native"});
  const Ran ran = farm.Client(submission);
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE((ran.out + ran.err).find("target_cpu is 'native'"), std::string::npos)
      << ran.out << ran.err;
}

}  // namespace
}  // namespace tyllm::testing
