// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

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
}

}  // namespace
}  // namespace tyllm::testing
