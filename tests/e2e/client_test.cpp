// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/e2e/farm.h"

// What a shell sees of tyllm-client.
namespace tyllm::testing {
namespace {

TEST(Client, ExitCodesTellWhatWentWrong) {
  Farm farm;
  farm.StartServer();
  EXPECT_EQ(farm.Client({"status", "j77"}).code, 3);
  EXPECT_EQ(farm.Client({"status", "seventy"}).code, 2);
  EXPECT_EQ(farm.Client({"frobnicate"}).code, 2);
  EXPECT_EQ(farm.Client({"logs", "t77"}).code, 3);
  EXPECT_EQ(farm.Client({"submit", "quantize", "--model", "/no/such/model"}).code, 3);
  EXPECT_EQ(farm.Client({"submit", "compile", "--model", DemoModel(), "--dies", "17"}).code, 2);
  EXPECT_EQ(farm.StopServer(), 0);
  EXPECT_EQ(farm.Client({"--patience", "1", "list"}).code, 4);
}

TEST(Client, JobsAreListedNewestFirstWithWhatTheyWait) {
  Farm farm;
  farm.StartServer();
  const std::vector<std::string> request = {"submit", "quantize", "--method",
                                            "rtn",    "--model",  DemoModel()};
  const Ran first = farm.Client(request);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, "j1\n");
  std::vector<std::string> another = request;
  another.emplace_back("--again");
  EXPECT_EQ(farm.Client(another).out, "j2\n");
  const format::Json list = farm.Client({"list", "--json"}).Json();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0]["id"], "j2");
  EXPECT_EQ(list[0]["state"], "queued");
  EXPECT_EQ(farm.Client({"list", "--state", "failed", "--json"}).Json().size(), 0U);
  EXPECT_EQ(farm.Client({"cancel", "j1"}).code, 0);
  EXPECT_EQ(farm.Client({"list", "--state", "cancelled", "--json"}).Json()[0]["id"], "j1");
  EXPECT_EQ(farm.Client({"workers", "--json"}).Json().size(), 0U);
}

TEST(Client, LogsOfATaskAreReadableAfterItEnded) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker("gpu1");
  const Ran ran = farm.Client(
      {"submit", "quantize", "--method", "rtn", "--model", DemoModel(), "--wait", "--json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const format::Json task = TaskOf(ran.Json(), "quantize");
  EXPECT_EQ(task["worker"], "gpu1");
  const Ran log = farm.Client({"logs", task["id"], "--follow"});
  EXPECT_EQ(log.code, 0) << log.err;
  EXPECT_FALSE(log.out.empty());
  const format::Json workers = farm.Client({"workers", "--json"}).Json();
  ASSERT_EQ(workers.size(), 1U);
  EXPECT_TRUE(workers[0]["online"]);
  const Ran counted = farm.Client({"results", "forget", "--worker", "gpu1", "--dry-run"});
  EXPECT_EQ(counted.out, "1 result and unfinished work of 0 tasks would be forgotten\n")
      << counted.err;
  const Ran forgotten =
      farm.Client({"results", "forget", "--worker", "gpu1", "--since", "1h", "--json"});
  EXPECT_EQ(forgotten.Json()["results"], 1) << forgotten.err;
  EXPECT_EQ(farm.Client({"results", "forget"}).code, 2) << "of nothing";
}

TEST(Client, WorkersAreCordonedByAPattern) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker("gpu-1");
  farm.StartWorkerBeside("gpu-2", {});
  farm.StartWorkerBeside("cpu-1", {});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (farm.Client({"workers", "--json"}).Json().size() < 3) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "not all workers have called";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // asks a process
  }
  const format::Json set = farm.Client({"worker", "cordon", "gpu-*", "--json"}).Json();
  ASSERT_EQ(set.size(), 2U);
  EXPECT_EQ(set[0]["name"], "gpu-1");
  const format::Json cordoned = farm.Client({"workers", "--mode", "cordoned", "--json"}).Json();
  ASSERT_EQ(cordoned.size(), 2U);
  EXPECT_EQ(cordoned[1]["name"], "gpu-2");
  const Ran none = farm.Client({"worker", "cordon", "tpu-*"});
  EXPECT_EQ(none.code, 3);
  EXPECT_NE(none.err.find("'tpu-*'"), std::string::npos) << none.err;
  EXPECT_EQ(farm.Client({"worker", "activate", "gpu-1", "--json"}).Json()["name"], "gpu-1");
}

}  // namespace
}  // namespace tyllm::testing
