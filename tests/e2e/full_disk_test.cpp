// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/e2e/farm.h"
#include "tests/support/paths.h"

// A server whose disk is full says so, takes nothing, answers rightly, and comes back by itself.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;

class FullDisk : public ::testing::Test {
 protected:
  FullDisk() {
    farm_.server_environment = {
        "FULL_DISK_FILE=" + Mark().string(), "LOW_DISK_FILE=" + LowMark().string(),
        "LD_PRELOAD=" + std::string(kProgramFolder) + "/../tests/libfull_disk_preload.so"};
    farm_.StartServer();
  }

  fs::path Mark() const { return farm_.folder() / "full"; }

  fs::path LowMark() const { return farm_.folder() / "low"; }

  void Fill() { std::ofstream(Mark()) << "full"; }

  void MakeRoom() { fs::remove(Mark()); }

  Ran Submit(const std::string& group_size) const {
    return farm_.Client({"--patience", "1", "submit", "quantize", "--method", "rtn", "--group-size",
                         group_size, "--model", DemoModel()});
  }

  bool BecomesHealthy(bool healthy) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      if ((farm_.Health().find(" 200 ") != std::string::npos) == healthy) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // asks a process; bounded
    }
    return false;
  }

  Farm farm_;
};

TEST_F(FullDisk, NothingIsAcceptedNothingIsLostAndRoomIsEnoughToGoOn) {
  ASSERT_EQ(Submit("16").out, "j1\n");
  EXPECT_TRUE(BecomesHealthy(true));
  Fill();
  const Ran refused = Submit("32");
  EXPECT_EQ(refused.code, 8) << refused.err;  // out of resources
  EXPECT_TRUE(BecomesHealthy(false)) << farm_.Health();
  EXPECT_EQ(farm_.Status("j1")["state"], "queued");
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 1U);
  MakeRoom();
  EXPECT_TRUE(BecomesHealthy(true)) << farm_.Health();
  EXPECT_EQ(Submit("32").code, 0);
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 2U);
  farm_.KillServer();
  farm_.StartServer();
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 2U);
  EXPECT_EQ(farm_.StopServer(), 0);
}

TEST_F(FullDisk, WithoutRoomNothingNewIsTakenWhileWhatRunsIsBroughtToItsEnd) {
  EXPECT_TRUE(BecomesHealthy(true));
  ASSERT_EQ(Submit("16").out, "j1\n");
  std::ofstream(LowMark()) << "low";
  EXPECT_TRUE(BecomesHealthy(false)) << farm_.Health();
  const Ran refused = Submit("32");
  EXPECT_EQ(refused.code, 8) << refused.err;
  EXPECT_NE(refused.err.find("takes no new jobs"), std::string::npos) << refused.err;
  const fs::path model = farm_.folder() / "model";
  fs::copy(DemoModel(), model, fs::copy_options::recursive);
  std::ofstream(model / "generation_config.json", std::ios::app) << "\n";
  const Ran upload = farm_.Client(
      {"--patience", "1", "submit", "quantize", "--method", "rtn", "--model", model.string()});
  EXPECT_EQ(upload.code, 8) << upload.err;
  EXPECT_NE(upload.err.find("no uploads"), std::string::npos) << upload.err;
  farm_.StartWorker();
  farm_.WaitFor("j1", [](const format::Json& job) { return job["state"] == "succeeded"; });
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 1U);
  fs::remove(LowMark());
  EXPECT_TRUE(BecomesHealthy(true)) << farm_.Health();
  EXPECT_EQ(Submit("32").code, 0);
}

}  // namespace
}  // namespace tyllm::testing
